"""The attack: somebody who is cluster-admin in a logical cluster of their own, and another one that they want.

Judged is that every answer about the victim is, byte for byte but for its name, the answer about a logical cluster that
does not exist; that nothing of the victim is in any answer; and that the victim is afterwards what it was. One victim
has the same accounts and names as the attacker, because that is where confusions would show.

test_attack.py runs a few attacks per credential and spelling against an embedded server, `python -m tests.attack` all
of them against processes.
"""

import base64
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kcp import certificates
from kcp.certificates import Pair, Subject
from tests.attack.credentials import IMPERSONATIONS, PROXIED, Credential, bent_tokens, context, self_made
from tests.attack.targets import MARKER, Attack, Place, documents, prefixed, spellings, verbs, wildcards
from tests.attack.wire import Answer, Wire

CHIEF = "/api/v1/namespaces/default/serviceaccounts/chief"
_READ = ("GET", "HEAD")


class Names(NamedTuple):
    """Logical clusters, of one length: what is in an answer must not tell them apart. `phantom` is never made."""

    attacker: str = "tenant-a"
    victim: str = "tenant-b"
    phantom: str = "tenant-c"


class Site(NamedTuple):
    """A running server and what its operator holds."""

    port: int
    authority: str  # of the serving certificate
    client_authority: Pair
    token: str  # of its administrator
    outside: tuple[tuple[str, str], ...] = ()  # kinds of bearer tokens from elsewhere, each somebody called KIND:eve


class Breach(NamedTuple):
    credential: str
    way: str
    attack: Attack
    seen: Answer
    expected: Answer

    def __str__(self) -> str:
        asked = f"{self.attack.method} {self.attack.target} {dict(self.attack.headers)}"
        told = f"  saw      {_short(self.seen)}\n  expected {_short(self.expected)}"
        return f"{self.credential}, {self.way}: {asked}\n{told}"


def _short(answer: Answer) -> str:
    return f"{answer.code} {answer.body[:200]!r}"


class Siege:
    """Sets the three up and attacks. `close` lets go of the connections."""

    def __init__(self, site: Site, names: Names = Names()) -> None:  # noqa: B008  immutable
        self.site, self.names = site, names
        self._directory = tempfile.TemporaryDirectory()
        self._plain = context(site.authority)
        self._admin = Wire(site.port, self._plain, (("Authorization", f"Bearer {site.token}"),))
        for path in names[:2]:
            self._furnish(path)
        self.places = self._discover()
        self._fill()
        self.before = self._victim_state()
        self.credentials = list(self._credentials())
        self.asked = 0

    def close(self) -> None:
        for credential in self.credentials:
            credential.wire.close()
        self._admin.close()
        self._directory.cleanup()

    # --- setting up

    def admin(self, method: str, path: str, target: str, body: Any = None, good: bool = True) -> Any:
        data = json.dumps(body).encode() if body is not None else b""
        attack = Attack(method, f"/clusters/{path}{target}", (("Content-Type", "application/json"),), data)
        answer = self._admin.ask(attack)
        assert not good or answer.code < 300, (attack, answer)
        return json.loads(answer.body) if answer.body else {}

    def _furnish(self, path: str) -> None:
        self.admin("POST", path, "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "first"}})
        self.admin("POST", path, CHIEF.rpartition("/")[0], {"metadata": {"name": "chief"}})
        subject = {"kind": "ServiceAccount", "namespace": "default", "name": "chief"}
        self._bind(path, "chief", subject)
        if path == self.names.attacker:
            for user in ("eve", *(f"{kind}:eve" for kind, _ in self.site.outside)):
                subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
                self._bind(path, user.replace(":", "-"), subject)

    def _bind(self, path: str, name: str, subject: dict[str, str]) -> None:
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        body = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
        self.admin("POST", path, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body)

    def _discover(self) -> Sequence[Place]:
        groups = self.admin("GET", self.names.victim, "/apis")["groups"]
        versions = ["v1", *(each["groupVersion"] for group in groups for each in group["versions"])]
        found = []
        for version in versions:
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            for each in self.admin("GET", self.names.victim, root)["resources"]:
                if "/" not in each["name"]:
                    place = Place(version, each["name"], each["kind"], each["namespaced"], each["verbs"])
                    found.append(place)
        return found

    def _fill(self) -> None:
        """The victim's secrets: an object of each resource that takes one, named and filled with the marker."""
        for place in self.places:
            if "create" in place.verbs:
                body: dict[str, Any] = {"metadata": {"name": MARKER, "labels": {MARKER: MARKER}}}
                self.admin("POST", self.names.victim, place.collection, body, good=False)
        secret = {"metadata": {"name": f"{MARKER}-key"}, "stringData": {"key": MARKER}}
        self.admin("POST", self.names.victim, "/api/v1/namespaces/default/secrets", secret)

    def _victim_state(self) -> dict[str, Any]:
        state = {}
        for place in self.places:
            if "list" in place.verbs and place.resource != "events":
                items = self.admin("GET", self.names.victim, place.collection)["items"]
                state[f"{place.group_version} {place.resource}"] = {
                    item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items
                }
        return state

    # --- who attacks

    def _credentials(self) -> Iterator[Credential]:
        token = self._token(self.names.attacker)
        yield self._bearer("nobody")
        yield self._bearer("nonsense", "nonsense")
        yield self._bearer("account of the attacker", token)
        for number, headers in enumerate(IMPERSONATIONS):
            yield self._bearer(f"account, impersonating ({number})", token, headers)
        for name, bent in bent_tokens(token, self._incarnation()):
            yield self._bearer(f"bent token, {name}", bent)
        yield self._bearer("bootstrap token of the attacker", self._bootstrap_token())
        yield self._bearer("token kept in a Secret", self._kept_token())
        yield self._bearer("token for another audience", self._token(self.names.attacker, audiences=["elsewhere"]))
        yield self._bearer("token bound to a Secret that is gone", self._orphaned_token())
        for kind, outside in self.site.outside:
            yield self._bearer(f"administrator of the attacker's by {kind}", outside)
        for name, headers in (
            ("basic authentication", (("Authorization", "Basic c3lzdGVtOmFkbWluOng="),)),
            ("two tokens", (("Authorization", f"Bearer {token}"), ("Authorization", "Bearer nonsense"))),
            ("token as a WebSocket protocol", (("Sec-WebSocket-Protocol", _as_protocol(token)),)),
        ):
            yield self._bearer(name, headers=headers)
        yield self._certificate("administrator of the attacker's, known to the installation", self._known("eve"))
        yield self._certificate("the same with headers of a proxy", self._known("eve"), PROXIED)
        yield self._certificate("self-made certificate", self_made("system:admin"))
        yield self._certificate("certificate of the attacker's own authority", self._of_own_authority())
        if (requested := self._requested()) is not None:
            yield self._certificate("certificate requested in the attacker's", requested)

    def _bearer(self, name: str, token: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Credential:
        shown = (("Authorization", f"Bearer {token}"),) if token else ()
        return Credential(name, Wire(self.site.port, self._plain, (*shown, *headers)))

    def _certificate(self, name: str, pair: Pair, headers: tuple[tuple[str, str], ...] = ()) -> Credential:
        made = context(self.site.authority, pair, Path(self._directory.name))
        return Credential(name, Wire(self.site.port, made, headers))

    def _token(self, path: str, **spec: Any) -> str:
        found: str = self.admin("POST", path, f"{CHIEF}/token", {"spec": spec})["status"]["token"]
        return found

    def _kept_token(self) -> str:
        about = {"name": "kept", "annotations": {"kubernetes.io/service-account.name": "chief"}}
        place = "/api/v1/namespaces/default/secrets"
        body = {"metadata": about, "type": "kubernetes.io/service-account-token"}
        self.admin("POST", self.names.attacker, place, body)
        for _ in range(200):
            if data := self.admin("GET", self.names.attacker, f"{place}/kept").get("data", {}).get("token"):
                return base64.b64decode(data).decode()
            time.sleep(0.05)
        raise AssertionError("the Secret is not filled in")

    def _orphaned_token(self) -> str:
        place = "/api/v1/namespaces/default/secrets"
        made = self.admin("POST", self.names.attacker, place, {"metadata": {"name": "orphan"}})
        bound = {"apiVersion": "v1", "kind": "Secret", "name": "orphan", "uid": made["metadata"]["uid"]}
        token = self._token(self.names.attacker, boundObjectRef=bound)
        self.admin("DELETE", self.names.attacker, f"{place}/orphan")
        return token

    def _incarnation(self) -> int:
        part = self._token(self.names.victim).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return int(claims["kcp.io"]["cluster"])

    def _bootstrap_token(self) -> str:
        data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
        body = {"metadata": {"name": "bootstrap-token-abcdef"}, "type": "bootstrap.kubernetes.io/token"}
        self.admin("POST", self.names.attacker, "/api/v1/namespaces/kube-system/secrets", {**body, "stringData": data})
        return "abcdef.0123456789abcdef"

    def _known(self, name: str) -> Pair:
        return certificates.issue(self.site.client_authority, Subject(name, ("team",)), certificates.now_utc())

    def _of_own_authority(self) -> Pair:
        """One that the attacker has registered, for a name that would open everything."""
        now = certificates.now_utc()
        authority = certificates.make_authority(f"authority of {self.names.attacker}", now)
        body = {"metadata": {"name": "kcp-client-ca"}, "data": {"client-ca-file": authority.certificate.decode()}}
        self.admin("POST", self.names.attacker, "/api/v1/namespaces/kube-system/configmaps", body)
        pair = certificates.issue(authority, Subject("system:admin", ("system:masters",)), now)
        for _ in range(200):
            wire = self._certificate("", pair).wire
            found = wire.ask(Attack("GET", f"/clusters/{self.names.attacker}/api"))
            wire.close()
            if found.code == 200:
                return pair
            time.sleep(0.05)
        raise AssertionError("the authority is not known to the front")

    def _requested(self) -> Pair | None:
        """By a CertificateSigningRequest with every group that might open a door. None: that is not served."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.COMMON_NAME, "system:kube-controller-manager")]
        names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:kcp:logical-cluster-creators")]
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
        spec = {
            "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        }
        place = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
        made = self.admin("POST", self.names.attacker, place, {"metadata": {"name": "door"}, "spec": spec}, good=False)
        if made.get("kind") != "CertificateSigningRequest":
            return None
        condition = {"type": "Approved", "status": "True", "reason": "x", "message": "x"}
        self.admin(
            "PUT", self.names.attacker, f"{place}/door/approval", {**made, "status": {"conditions": [condition]}}
        )
        for _ in range(200):
            found = self.admin("GET", self.names.attacker, f"{place}/door")["status"].get("certificate")
            if not found:
                time.sleep(0.05)
            else:
                text = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                return Pair(base64.b64decode(found), key.private_bytes(*text))
        return None

    # --- the attack

    def attack(self, randomness: random.Random, examples: int, spelled: int) -> Iterator[Breach]:
        """Breaches, as they are found: per credential `examples` attacks on the plain path, `spelled` on each other."""
        plain = [*(each for place in self.places for each in verbs(place)), *documents()]
        quiet = [each for each in plain if each.method in (*_READ, "DELETE") and "watch=1" not in each.target]
        self._warm()
        for credential in self.credentials:
            for attack in _some(randomness, plain, examples):
                yield from self._compared(credential, "every verb", prefixed(attack))
            for attack in _some(randomness, quiet, spelled):
                for way, bent in spellings(attack):
                    if MARKER in bent.target or bent.method in _READ:  # nothing of the attacker's own is harmed
                        yield from self._compared(credential, way, bent)
            for attack in _some(randomness, quiet, 1):
                for wild in wildcards(attack):
                    yield from self._own(credential, wild)
            yield from self._installation(credential)
        yield from self._resumed()
        if self._victim_state() != self.before:
            nothing = Answer(0, (), b"")
            yield Breach("all", "the victim has changed", Attack("GET", self.names.victim), nothing, nothing)

    def _warm(self) -> None:
        """Let connections and caches be as they will stay."""
        for credential in self.credentials:
            credential.wire.ask(Attack("GET", f"/clusters/{self.names.phantom}/api"))

    def _compared(self, credential: Credential, way: str, attack: Attack) -> Iterator[Breach]:
        self.asked += 1
        seen = credential.wire.ask(attack.aimed(self.names.victim, self.names.attacker)).without(self.names.victim)
        expected = credential.wire.ask(attack.aimed(self.names.phantom, self.names.attacker)).without(
            self.names.phantom
        )
        if seen != expected or _tells(seen, attack):
            yield Breach(credential.name, way, attack.aimed(self.names.victim, self.names.attacker), seen, expected)

    def _silent(self, credential: Credential, way: str, attack: Attack) -> Iterator[Breach]:
        """No answer at all is expected."""
        self.asked += 1
        seen = credential.wire.ask(attack.aimed(self.names.victim, self.names.attacker))
        if (seen.code < 400 and seen.code) or _tells(seen, attack):
            yield Breach(credential.name, way, attack, seen, Answer(404, (), b""))

    def _own(self, credential: Credential, attack: Attack) -> Iterator[Breach]:
        """Over many logical clusters nothing is written, and of all of them the attacker's alone is read."""
        self.asked += 1
        seen = credential.wire.ask(attack.aimed(self.names.victim, self.names.attacker))
        is_read = attack.method in _READ and (not seen.body or self._is_own(seen.body))
        if (0 < seen.code < 400 and not is_read) or _tells(seen, attack):
            yield Breach(credential.name, "wildcard", attack, seen, Answer(404, (), b""))

    def _is_own(self, body: bytes) -> bool:
        if self.names.victim.encode() in body:
            return False
        try:
            document = json.loads(body)
        except ValueError:
            return True  # events, one a line: `_tells` looks for what is the victim's
        rows = document.get("items") or [row["object"] for row in document.get("rows") or ()]
        of = (item["metadata"].get("annotations", {}).get("kcp.io/cluster") for item in rows if "metadata" in item)
        return all(cluster == self.names.attacker for cluster in of)

    def _installation(self, credential: Credential) -> Iterator[Breach]:
        for path in ("/metrics", "/metrics/slis", "/debug/pprof", "/clusters/root/metrics"):
            yield from self._silent(credential, "installation", Attack("GET", path))
        for name in ("system:shards", "system:keys", "system:nothing", "system:masters"):
            for rest in ("/api/v1/namespaces", "/api/v1/namespaces/default/secrets", "/apis"):
                for attack in (
                    Attack("GET", f"/clusters/{name}{rest}"),
                    Attack("GET", rest, (("X-Kubernetes-Cluster", name),)),
                ):
                    if credential.name != "nobody" or rest != "/apis":
                        yield from self._silent(credential, "installation", attack)

    def _resumed(self) -> Iterator[Breach]:
        """What the victim's administrator got may be of no use in the attacker's own logical cluster."""
        maps = "/api/v1/namespaces/default/configmaps"
        theirs = self.admin("GET", self.names.victim, f"{maps}?limit=1")["metadata"]
        account = next(each for each in self.credentials if each.name == "account of the attacker")
        for query in (
            f"limit=1&continue={theirs['continue']}",
            f"resourceVersion={theirs['resourceVersion']}&resourceVersionMatch=Exact",
            f"watch=1&timeoutSeconds=1&resourceVersion={theirs['resourceVersion']}",
        ):
            attack = Attack("GET", f"/clusters/{self.names.attacker}{maps}?{query}")
            self.asked += 1
            seen = account.wire.ask(attack)
            if _tells(seen, attack):
                yield Breach(account.name, "what the victim was given", attack, seen, Answer(410, (), b""))


def _as_protocol(token: str) -> str:
    """As browsers say a token, who cannot set Authorization."""
    shown = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return f"base64url.bearer.authorization.k8s.io.{shown}, v4.channel.k8s.io"


def _some(randomness: random.Random, attacks: Sequence[Attack], count: int) -> Sequence[Attack]:
    return attacks if count >= len(attacks) else randomness.sample(attacks, count)


def _tells(answer: Answer, attack: Attack) -> bool:
    """The marker, but for echoes of what was asked."""
    body = answer.body.replace(f"{MARKER}-new".encode(), b"").lower()
    named = MARKER in attack.target or MARKER.encode() in attack.body
    marker = MARKER.encode()
    return (
        (marker + b"-key" in body) or (not named and marker in body) or (named and answer.code < 300 and marker in body)
    )
