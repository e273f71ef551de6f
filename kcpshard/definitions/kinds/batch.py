"""Job and CronJob."""

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kcpshard.api.errors import FieldError, duplicate, invalid, required, too_long, too_many
from kcpshard.api.names import dns_label_faults
from kcpshard.definitions import checks
from kcpshard.definitions.contract import Object
from kcpshard.definitions.kinds.disabled_fields import in_template
from kcpshard.definitions.kinds.pod_defaults import default_template, fill
from kcpshard.definitions.kinds.pod_faults import template_faults
from kcpshard.definitions.kinds.pod_warnings import made_warnings, name_warnings, template_warnings
from kcpshard.definitions.strategies import Rules

Faults = Iterator[FieldError]
_JOB_NAMES = ("job-name", "batch.kubernetes.io/job-name")
_OWNERS = ("controller-uid", "batch.kubernetes.io/controller-uid")
_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_MAX_INDEXED_PARALLELISM = 100_000
_MAX_MANAGER = 63


def _default_job(obj: Object) -> None:
    spec = obj["spec"]
    _default_job_spec(spec)
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _default_job_spec(spec: Object) -> None:
    default_template(spec.get("template"))
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    fill(spec, parallelism=1, completionMode="NonIndexed", suspend=False, manualSelector=False)
    fill(spec, backoffLimit=2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6)
    policy = spec.get("podFailurePolicy")
    fill(spec, podReplacementPolicy="TerminatingOrFailed" if policy is None else "Failed")
    for rule in (policy or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            fill(pattern, status="True")


def _select_own(obj: Object) -> None:
    """Unless the creator selects pods, the job's uid does."""
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    template = spec["template"] = dict(spec.get("template") or {})
    template["metadata"] = dict(template.get("metadata") or {})
    given = template["metadata"].get("labels") or {}
    labels = template["metadata"]["labels"] = dict(given)
    if given and meta.get("labels") == given:
        meta["labels"] = labels  # a job without labels of its own has those of its pods, also the ones made here
    for key in _JOB_NAMES:
        labels.setdefault(key, meta.get("name", ""))
    for key in _OWNERS:
        labels.setdefault(key, meta["uid"])
    selector = spec["selector"] = dict(spec.get("selector") or {})
    selector["matchLabels"] = {_OWNERS[1]: meta["uid"], **(selector.get("matchLabels") or {})}


def _labels(job: Object) -> Object:
    found: Object = ((job["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    return found


def _job(obj: Object, old: Object | None = None) -> Faults:
    spec, labels, was = obj["spec"], _labels(obj), _labels(old or obj)
    has_prefixed = old is None or (_JOB_NAMES[1] in was and _OWNERS[1] in was)
    yield from _generated_faults(obj, labels, slice(None) if has_prefixed else slice(1))
    yield from job_spec_faults(spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
    yield from checks.selector("spec.selector", selector)
    if checks.is_selected(selector, labels) is False:
        yield invalid("spec.template.metadata.labels", labels or None, "`selector` does not match template `labels`")
    completions, name = spec.get("completions") or 0, obj["metadata"].get("name", "")
    if spec.get("completionMode") == "Indexed" and completions > 0 and dns_label_faults(f"{name}-{completions - 1}"):
        text = f"will not able to create pod with invalid DNS label: {name}-{completions - 1}"
        yield invalid("metadata.name", name, text)


def _generated_faults(obj: Object, labels: Object, which: slice) -> Faults:
    """Where the job's uid selects, its pods must carry uid and name; older ones only under the names without prefix."""
    spec, meta = obj["spec"], obj["metadata"]
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    wanted = {**dict.fromkeys(_OWNERS[which], meta["uid"]), **dict.fromkeys(_JOB_NAMES[which], meta.get("name", ""))}
    for key, value in wanted.items():
        path = f"spec.template.metadata.labels[{key}]"
        if key not in labels:
            yield required(path, f"must be '{value}'")
        elif labels[key] != value:
            yield invalid(path, labels, f"must be '{value}'")
    if checks.is_selected(spec["selector"], wanted) is False:
        yield invalid("spec.selector", spec["selector"], "`selector` not auto-generated")


def job_spec_faults(spec: Object, path: str) -> Faults:
    counted = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
    yield from checks.nonnegative(spec, path, *counted, "backoffLimitPerIndex", "maxFailedIndexes")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if (manager := spec.get("managedBy")) is not None:
        yield from checks.domain_prefixed_path(f"{path}.managedBy", manager)
        if len(manager) > _MAX_MANAGER:
            yield too_long(f"{path}.managedBy", _MAX_MANAGER)
    mode = spec.get("completionMode")
    if mode is not None:
        yield from checks.supported(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed":
        if spec.get("completions") is None:
            yield required(f"{path}.completions", "when completion mode is Indexed")
        if spec.get("parallelism", 0) > _MAX_INDEXED_PARALLELISM:
            text = f"must be less than or equal to {_MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
            yield invalid(f"{path}.parallelism", spec["parallelism"], text)
        failed = spec.get("maxFailedIndexes")
        if spec.get("completions") is not None and failed is not None and failed > spec["completions"]:
            yield invalid(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
        yield from _many_index_faults(spec, path)
    for member in ("backoffLimitPerIndex", "maxFailedIndexes") if mode in (None, "NonIndexed") else ():
        if spec.get(member) is not None:
            yield invalid(f"{path}.{member}", spec[member], "requires indexed completion mode")
    if (success := spec.get("successPolicy")) is not None:
        if mode == "Indexed":
            yield from _success_faults(success, spec.get("completions"), f"{path}.successPolicy")
        else:
            yield invalid(f"{path}.successPolicy", success, "requires indexed completion mode")
    yield from _failure_policy_faults(spec, f"{path}.podFailurePolicy")
    policies = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        yield from checks.supported(f"{path}.podReplacementPolicy", replacement, policies)
    yield from template_faults(spec.get("template") or {}, f"{path}.template")
    yield from _restart_faults(spec, f"{path}.template.spec.restartPolicy")


_MAX_FAILED_INDEXES, _MANY_COMPLETIONS, _LIMIT_OF_MANY = 100_000, 100_000, 10_000


def _many_index_faults(spec: Object, path: str) -> Faults:
    failed, completions = spec.get("maxFailedIndexes"), spec.get("completions") or 0
    if failed is not None and failed > _MAX_FAILED_INDEXES:
        text = f"must be less than or equal to {_MAX_FAILED_INDEXES}"
        yield invalid(f"{path}.maxFailedIndexes", failed, text)
    if completions <= _MANY_COMPLETIONS or spec.get("backoffLimitPerIndex") is None:
        return
    if failed is None:
        text = f"must be specified when completions is above {_MANY_COMPLETIONS}"
        yield required(f"{path}.maxFailedIndexes", text)
    for member in ("parallelism", "maxFailedIndexes"):
        if (spec.get(member) or 0) > _LIMIT_OF_MANY:
            text = (
                f"must be less than or equal to {_LIMIT_OF_MANY} when completions are above {_MANY_COMPLETIONS} and "
                "used with backoff limit per index"
            )
            yield invalid(f"{path}.{member}", spec[member], text)


_MAX_RULES, _MAX_INDEXES_BYTES = 20, 64 * 1024


def _success_faults(policy: Object, completions: int | None, path: str) -> Faults:
    rules = policy.get("rules") or ()
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        yield required(f"{path}.rules", text)
    if len(rules) > _MAX_RULES:
        yield too_many(f"{path}.rules", len(rules), _MAX_RULES)
    for place, rule in enumerate(rules if completions is not None else ()):
        yield from _success_rule_faults(rule, completions or 0, f"{path}.rules[{place}]")


def _success_rule_faults(rule: Object, completions: int, path: str) -> Faults:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    total, fault = (0, "") if indexes is None else counted_indexes(indexes, completions)
    if indexes is not None and len(indexes) > _MAX_INDEXES_BYTES:
        yield too_long(f"{path}.succeededIndexes", _MAX_INDEXES_BYTES)
    if fault:
        yield invalid(f"{path}.succeededIndexes", indexes, f"error parsing succeededIndexes: {fault}")
    if count is None:
        return
    yield from checks.nonnegative(rule, path, "succeededCount")
    if count > completions:
        text = f"must be less than or equal to {completions} (the number of specified completions)"
        yield invalid(f"{path}.succeededCount", count, text)
    if indexes is not None and count > total:
        text = f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        yield invalid(f"{path}.succeededCount", count, text)


def counted_indexes(text: str, completions: int) -> tuple[int, str]:
    """How many indexes such as "1,3-5" names, and why it is no such list ("" if it is one)."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            text = "violates the requirement that an index interval can have at most two parts separated by '-'"
            return 0, f'the fragment "{part}" {text}'
        numbers = []
        for end in ends:
            if not re.fullmatch("[+-]?[0-9]+", end):
                return 0, f'cannot convert string to integer for index: "{end}"'
            if int(end) >= completions:
                return 0, f'too large index: "{end}"'
            numbers.append(int(end))
        if numbers[0] <= last:
            return 0, f"non-increasing order, previous: {last}, current: {numbers[0]}"
        if len(numbers) == 2 and numbers[0] >= numbers[1]:
            return 0, f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}"
        total, last = total + numbers[-1] - numbers[0] + 1, numbers[-1]
    return total, ""


def _restart_faults(spec: Object, path: str) -> Faults:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy", "")
    if policy in ("Always", ""):
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield from checks.one_supported(path, policy, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        yield invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _failure_policy_faults(spec: Object, path: str) -> Faults:
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for c in [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]}
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or ()
    if len(rules) > _MAX_RULES:
        yield too_many(f"{path}.rules", len(rules), _MAX_RULES)
    for place, rule in enumerate(rules):
        here = f"{path}.rules[{place}]"
        actions = ("Count", "FailIndex", "FailJob", "Ignore")
        yield from checks.one_supported(f"{here}.action", rule.get("action"), actions)
        if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            yield invalid(f"{here}.action", "FailIndex", "requires the backoffLimitPerIndex to be set")
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is None and not conditions:
            yield invalid(here, None, "specifying one of OnExitCodes and OnPodConditions is required")
        if codes is not None and conditions:
            yield invalid(here, None, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is not None:
            yield from _exit_code_faults(codes, names, f"{here}.onExitCodes")
        if len(conditions or ()) > _MAX_RULES:
            yield too_many(f"{here}.onPodConditions", len(conditions), _MAX_RULES)
        for number, pattern in enumerate(conditions or ()):
            where = f"{here}.onPodConditions[{number}]"
            yield from checks.qualified_name(f"{where}.type", pattern.get("type", ""))
            yield from checks.one_supported(f"{where}.status", pattern.get("status"), ("False", "True", "Unknown"))


def _exit_code_faults(codes: Object, names: set[Any], path: str) -> Faults:
    values = codes.get("values") or []
    yield from checks.one_supported(f"{path}.operator", codes.get("operator"), ("In", "NotIn"))
    if (name := codes.get("containerName")) is not None and name not in names:
        text = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{path}.containerName", name, text)
    if not values:
        yield invalid(f"{path}.values", values or None, "at least one value is required")
    elif len(values) > 255:
        yield too_many(f"{path}.values", len(values), 255)
    for place, value in enumerate(values):
        if codes.get("operator") == "In" and value == 0:
            yield invalid(f"{path}.values[{place}]", value, "must not be 0 for the In operator")
        if value in values[:place]:
            yield duplicate(f"{path}.values[{place}]", value)
    if values != sorted(values):
        yield invalid(f"{path}.values", values, "must be ordered")


_JOB_FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")


def _job_update(new: Object, old: Object) -> Faults:
    after, before = new["spec"], old["spec"]
    yield from _job(new, old)
    if after.get("completions") != before.get("completions") and not (
        after.get("completionMode") == "Indexed" and after.get("completions") == after.get("parallelism")
    ):
        yield invalid("spec.completions", after.get("completions"), checks.IMMUTABLE)
    yield from checks.unchanged("spec.selector", after.get("selector"), before.get("selector"))
    template = after.get("template") or {}
    if not before.get("suspend"):
        yield from checks.unchanged("spec.template", template, before["template"])
    elif _fixed_parts(template) != _fixed_parts(before["template"]):
        yield invalid("spec.template.spec", template.get("spec"), checks.IMMUTABLE)
    for member in _JOB_FIXED:
        yield from checks.unchanged(f"spec.{member}", after.get(member), before.get(member))


_SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates")


def _fixed_parts(template: Object) -> Object:
    """The spec without what may change of a suspended job: where its pods run, and what they ask for."""
    spec = {k: v for k, v in (template.get("spec") or {}).items() if k not in (*_SCHEDULING, "resources")}
    others = {k: v for k, v in (spec.pop("affinity", None) or {}).items() if k != "nodeAffinity"}
    if others:
        spec["affinity"] = others
    for member in ("containers", "initContainers"):
        if spec.get(member):
            spec[member] = [{k: v for k, v in c.items() if k != "resources"} for c in spec[member]]
    return spec


def _job_status(new: Object, old: Object) -> Faults:
    status = new.get("status") or {}
    counted = [member for member, value in status.items() if isinstance(value, int)]
    yield from checks.nonnegative(status, "status", *counted)


def _default_cron_job(obj: Object) -> None:
    spec = obj["spec"]
    fill(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    default_template(job.get("template"))


def _cron_job(obj: Object) -> Faults:
    spec, schedule = obj["spec"], obj["spec"].get("schedule", "")
    if not schedule:
        yield required("spec.schedule")
    else:
        if fault := schedule_fault(schedule):
            yield invalid("spec.schedule", schedule, fault)
        if "TZ" in schedule:
            text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            yield invalid("spec.schedule", schedule, text)
    yield from checks.nonnegative(spec, "spec", "startingDeadlineSeconds")
    yield from _zone_faults(spec.get("timeZone"))
    policies = ("Allow", "Forbid", "Replace")
    yield from checks.one_supported("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    if job.get("selector") is not None:
        yield invalid("spec.jobTemplate.spec.selector", job["selector"], "`selector` will be auto-generated")
    if job.get("manualSelector"):
        text = 'Unsupported value: true: supported values: "nil", "false"'
        yield FieldError("spec.jobTemplate.spec.manualSelector", "FieldValueNotSupported", text)
    yield from job_spec_faults({"completionMode": "NonIndexed", **job}, "spec.jobTemplate.spec")
    yield from checks.nonnegative(spec, "spec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def _cron_job_update(new: Object, old: Object) -> Faults:
    """A zone in the schedule, and a time zone that is unknown by now, may stay where they were."""
    schedule, zone = (old["spec"].get(member) for member in ("schedule", "timeZone"))
    for fault in _cron_job(new):
        is_old_zone = fault.field == "spec.timeZone" and zone == new["spec"].get("timeZone")
        is_zone = fault.field == "spec.schedule" and "cannot use TZ" in fault.detail and "TZ" in (schedule or "")
        if is_zone and zone_is_given(new):
            text = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            yield invalid("spec.schedule", new["spec"].get("schedule"), text)
        elif not is_old_zone and not is_zone:
            yield fault


def zone_is_given(obj: Object) -> bool:
    return obj["spec"].get("timeZone") is not None


def _cron_job_create(obj: Object) -> Faults:
    yield from _cron_job(obj)
    if len(obj["metadata"].get("name", "")) > 52:
        yield invalid("metadata.name", obj["metadata"]["name"], "must be no more than 52 characters")


def _zone_faults(zone: str | None) -> Faults:
    if zone is None:
        return
    path = "spec.timeZone"
    if not zone:
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
    elif not all(
        re.fullmatch(r"(?!-)[A-Za-z._0-9+-]{1,14}", part) and part not in (".", "..") for part in zone.split("/")
    ):
        yield invalid(path, zone, f"unknown time zone {zone}")
    elif zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid(path, zone, text)
    else:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            yield invalid(path, zone, f"unknown time zone {zone}")


def schedule_fault(schedule: str) -> str:
    """Why this is not a cron schedule in the words of the parser that kube-apiserver uses; "" if it is one."""
    text = re.sub(r"^(CRON_)?TZ=\S+\s+", "", schedule)
    if text.startswith("@"):
        if text in _MACROS or re.fullmatch(r"@every ([0-9.]+(ns|us|µs|ms|s|m|h))+", text):
            return ""
        return f"unrecognized descriptor: {text}"
    fields = text.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for field, bounds, names in zip(fields, _RANGES, ([], [], [], _MONTHS, _DAYS), strict=True):
        for part in field.split(","):
            if fault := _part_fault(part, bounds, names):
                return fault
    return ""


def _part_fault(part: str, bounds: tuple[int, int], names: list[str]) -> str:
    lowest, highest = bounds
    span, _, step = part.partition("/")
    if step and not step.isdigit():
        return f'failed to parse int from {step}: strconv.Atoi: parsing "{step}": invalid syntax'
    if step and int(step) == 0:
        return f"step of range should be a positive number: {part}"
    if span in ("*", "?"):
        return ""
    ends = span.split("-")
    if len(ends) > 2:
        return f"too many hyphens: {part}"
    numbers = []
    for end in ends:
        if end.lower() in names:
            numbers.append(names.index(end.lower()) + lowest)
        elif end.isdigit():
            numbers.append(int(end))
        else:
            return f'failed to parse int from {end}: strconv.Atoi: parsing "{end}": invalid syntax'
    first, last = numbers[0], numbers[-1]
    if first < lowest:
        return f"beginning of range ({first}) below minimum ({lowest}): {part}"
    if last > highest:
        return f"end of range ({last}) above maximum ({highest}): {part}"
    return f"beginning of range ({first}) beyond end of range ({last}): {part}" if first > last else ""


def _cron_job_warnings(obj: Object) -> Iterator[str]:
    job = (obj["spec"].get("jobTemplate") or {}).get("spec") or {}
    return template_warnings(job.get("template"), "spec.jobTemplate.spec.template")


ROWS = {
    ("batch", "Job"): Rules(
        default=(_default_job,),
        create_warnings=name_warnings,
        spec_warnings=made_warnings,
        prepare_create=(_select_own,),
        validate_create=(_job,),
        validate_update=(_job_update,),
        validate_subresource={"status": (_job_status,)},
        fields=(("status.successful", ("status", "succeeded")),),
        generation=True,
        disabled=in_template("spec", "template"),
    ),
    ("batch", "CronJob"): Rules(
        default=(_default_cron_job,),
        create_warnings=name_warnings,
        spec_warnings=_cron_job_warnings,
        validate_create=(_cron_job_create,),
        validate_update=(_cron_job_update,),
        generation=True,
        disabled=in_template("spec", "jobTemplate", "spec", "template"),
    ),
}
