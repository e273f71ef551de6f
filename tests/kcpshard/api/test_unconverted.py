from kcpshard.api.unconverted import NotConverted


async def test_it_is_settled_by_whoever_meets_it() -> None:
    settled = []

    async def settle() -> None:
        settled.append(True)

    await NotConverted(settle).settle()
    assert settled
