"""Write tests/golden/managed_fields.json: what a real kube-apiserver answers to the first sequences.

    python -m tests.differential.record_managed_fields KUBECONFIG      (a cluster that has not seen them)

test_managed_fields.py compares our answers with it, so that the comparison runs where no kube-apiserver is.
"""

import asyncio
import json
import sys
from pathlib import Path

from tests.differential.exchanges import Exchange
from tests.differential.managed_fields import Real, Step, play, sequence

RECORD = Path(__file__).parents[1] / "golden" / "managed_fields.json"
PREFIX, NAMESPACE, SEQUENCES = "owned-", "owned", 44


async def main(kubeconfig: str) -> None:
    real = Real(kubeconfig)
    await real.ask(Step(Exchange("", "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}), "x"))
    lines = []
    for number in range(SEQUENCES):
        answers = await play(real, sequence(number, PREFIX), NAMESPACE)
        lines.append(json.dumps(answers, sort_keys=True, separators=(",", ":")))
    RECORD.write_text("[" + ",\n".join(lines) + "]\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
