"""The tables of RESULTS.md, made of results/*.json. What stands outside the two marks is written by people."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- measured: made by make bench -->", "<!-- end of measured -->"


def write_report(results: Path, document: Path) -> None:
    text = document.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    document.write_text(f"{before}{BEGIN}\n\n{report(results)}\n{END}{after}")


def report(results: Path) -> str:
    def read(name: str) -> Any:
        path = results / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else None

    sections = [
        make(found)
        for name, make in (
            ("compare", _compare),
            ("watchers", _watchers),
            ("clusters", _clusters),
            ("shards", _shards),
            ("scale", _scale),
            ("workspaces", _workspaces),
            ("wildcard", _wildcard),
            ("startup", _startup),
        )
        if (found := read(name))
    ]
    return "\n".join("\n".join(lines) + "\n" for lines in sections)


def _compare(found: dict[str, Any]) -> Iterator[str]:
    arguments, names = found["arguments"], found["targets"]
    yield "## Beside kube-apiserver"
    yield ""
    yield (
        f"{arguments['tenants']} tenants × {arguments['objects']} objects, {arguments['rounds']} rounds of "
        f"{arguments['seconds']} s, {found['cores']} cores. Memory afterwards: "
        + ", ".join(f"{name} {mb} MB" for name, mb in found["memory_mb"].items())
        + "."
    )
    yield ""
    heads = [f"{name}: CPU µs (±), per s, p50 / p99 ms" for name in names]
    yield "| operation | " + " | ".join(heads) + " | ratio (±) | condition | aim |"
    yield "|---|" + "---|" * (len(names) + 3)
    for row in found["rows"]:
        cells = [_cell(row[name], len(found["rounds"][row["operation"]][name])) for name in names]
        ratio = f"{row['ratio']:.3f} (±{row['ratio_spread'] * 100:.0f} %)" if "ratio" in row else "–"
        cells += [ratio, f"≤ {row['condition']:.2f}", f"{row['aim']:.2f}"]
        yield f"| {row['operation']} | " + " | ".join(cells) + " |"
    yield ""
    yield "![cost per request](results/compare.svg)"


def _cell(row: dict[str, Any], rounds: int) -> str:
    latency = "not quiet" if row["p50_ms"] is None else f"{row['p50_ms']:.2f} / {row['p99_ms']:.2f}"
    if row["p50_ms"] is not None and row["quiet_rounds"] < rounds:
        latency += f" ({row['quiet_rounds']} quiet rounds)"
    return f"{row['cpu_us']:.0f} (±{row['spread'] * 100:.0f} %), {row['requests_per_s']}, {latency}"


def _watchers(found: dict[str, Any]) -> Iterator[str]:
    names = list(found["fan_out"])
    yield "## Fan-out of one object's changes"
    yield ""
    yield "| watches | " + " | ".join(f"{n}: CPU µs per event, delivered per s, lag p50 / max ms" for n in names) + " |"
    yield "|---|" + "---|" * len(names)
    for rows in zip(*found["fan_out"].values(), strict=True):
        cells = [
            f"{r['cpu_us_per_event']:.0f}, {r['delivered_per_s']:.0f}, {r['lag_p50_ms']:.1f} / {r['lag_max_ms']:.1f}"
            + ("" if r["delivered"] == r["expected"] else f" ({r['delivered']} of {r['expected']} delivered)")
            for r in rows
        ]
        yield f"| {rows[0]['watchers']} | " + " | ".join(cells) + " |"
    yield ""
    if idle := found.get("idle"):
        yield (
            f"{idle['watches']} idle watches over two fronts: {idle['pss_mb']:.0f} MB in all, {idle['kb_each']:.1f} kB "
            f"each, {idle['idle_cpu_percent']:.1f} % of a core; connected in {idle['connect_s']:.1f} s at "
            f"{idle['connect_cpu_ms_each']:.2f} ms CPU each. All back {idle['all_back_s']:.1f} s after a front died."
        )
        yield ""
    yield "![watch fan-out](results/watchers.svg)"


def _clusters(found: dict[str, Any]) -> Iterator[str]:
    yield from _over("logical clusters of one object", found, "clusters")


def _shards(found: dict[str, Any]) -> Iterator[str]:
    turned: dict[str, Any] = {}
    for operation, by in found.items():
        for number, values in by.items():
            turned.setdefault(number, {})[operation] = values
    yield from _over("shards, one front", turned, "shards")


def _over(what: str, found: dict[str, Any], plot: str) -> Iterator[str]:
    """`found`: count → operation → cpu_us."""
    operations = list(next(iter(found.values())))
    yield f"## Over {what}: CPU µs per request"
    yield ""
    yield f"| {what.partition(',')[0]} | " + " | ".join(operations) + " |"
    yield "|---|" + "---|" * len(operations)
    for count, by in found.items():
        yield f"| {count} | " + " | ".join(f"{by[o]['cpu_us']:.0f}" for o in operations) + " |"
    yield ""
    yield f"![over {plot}](results/{plot}.svg)"


def _scale(found: dict[str, Any]) -> Iterator[str]:
    last = found["rows"][-1]
    yield "## Scale"
    yield ""
    yield (
        f"{last['clusters']} logical clusters with one object each: {last['pss_mb']:.0f} MB over all processes "
        f"({found['pss_mb_after_restart']:.0f} MB after a restart), {found['kb_per_cluster']:.1f} kB each beyond the "
        f"first thousand; made at {last['per_s']:.0f}/s, {last['cpu_us']:.0f} µs CPU each. First request to an idle "
        f"one p99 {found['first_p99_ms']:.1f} ms, the second's {found['second_p99_ms']:.1f} ms."
    )
    yield ""
    yield "![memory and creation](results/scale.svg)"


def _workspaces(found: dict[str, Any]) -> Iterator[str]:
    yield f"## Workspaces in a tree, {found['shards']} shards"
    yield ""
    yield "| workspaces | memory MB | CPU µs of a creation | of ConfigMap creates | a second |"
    yield "|---|---|---|---|---|"
    for row in found["rows"][1:]:
        ratio = row["cpu_us"] / found["config_map_us"]
        yield (
            f"| {row['workspaces']} | {row['memory_mb']:.0f} | {row['cpu_us']:.0f} | {ratio:.2f} | {row['per_s']:.0f} |"
        )
    yield ""
    yield (
        f"{found['kb_per_workspace']:.1f} kB each from a tenth to all. All deleted in {found['delete_s']:.1f} s, "
        f"{found['delete_cpu_us']:.0f} µs of CPU each; keys of {found['left'] + found['dead']} left. A front that died "
        f"was followed by one that served after {found['front_s']:.2f} s ({found['first_front_s']:.2f} s while there "
        "were none)."
    )
    yield ""
    yield "![workspaces](results/workspaces.svg)"


def _wildcard(found: dict[str, Any]) -> Iterator[str]:
    yield "## A list over many logical clusters beside a plain one, CPU µs per object"
    yield ""
    yield "| objects in each | logical clusters | plain | over all | ratio |"
    yield "|---|---|---|---|---|"
    for each, row in found.items():
        yield (
            f"| {each} | {row['clusters']} | {row['plain_us']:.1f} | {row['wildcard_us']:.1f} | {row['ratio']:.2f} |"
        )


def _startup(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Median of {len(found['starts'])} starts {found['start_s']:.2f} s, {found['ratio']:.1f} times the import of "
        "grpc.aio, aiohttp and rocksdict."
    )
