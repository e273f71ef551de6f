from kcpfront.printers.storage import PRINTERS


def test_what_goes_is_terminating() -> None:
    claim = {"metadata": {"name": "a", "deletionTimestamp": "x"}, "status": {"phase": "Bound"}}
    assert PRINTERS["", "persistentvolumeclaims"].cells(claim, 0)[1] == "Terminating"


def test_access_modes_are_short_and_in_order() -> None:
    spec = {"accessModes": ["ReadWriteMany", "ReadWriteOncePod", "ReadWriteOnce"]}
    assert PRINTERS["", "persistentvolumes"].cells({"metadata": {"name": "a"}, "spec": spec}, 0)[2] == "RWO,RWX,RWOP"
