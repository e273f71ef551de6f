"""Which functions there are and what they take: the standard ones and Kubernetes' libraries, as one table.

A row is `function  overload  signature`; a signature is `receiver.(arguments) result` or `(arguments) result`. Capital
letters are type parameters. What the functions do is in `functions`, what they cost in `pricing`.
"""

from typing import NamedTuple

from kcpshard.cel.types import BOOL, DYN, INT, OPAQUE, SIMPLE, STRING, Type, list_of, map_of, optional_of, type_of


class Overload(NamedTuple):
    """One signature of a function. A receiver is the first of `params`."""

    id: str
    function: str
    member: bool
    params: tuple[Type, ...]
    result: Type
    variables: tuple[Type, ...]  # the type parameters


_TABLE = """
_?_:_ conditional (bool, A, A) A
_&&_ logical_and (bool, bool) bool
_||_ logical_or (bool, bool) bool
!_ logical_not (bool) bool
@not_strictly_false not_strictly_false (bool) bool
_==_ equals (A, A) bool
_!=_ not_equals (A, A) bool
_+_ add_int64 (int, int) int
_+_ add_uint64 (uint, uint) uint
_+_ add_double (double, double) double
_+_ add_string (string, string) string
_+_ add_bytes (bytes, bytes) bytes
_+_ add_list (list(A), list(A)) list(A)
_+_ add_duration_duration (duration, duration) duration
_+_ add_duration_timestamp (duration, timestamp) timestamp
_+_ add_timestamp_duration (timestamp, duration) timestamp
_-_ subtract_int64 (int, int) int
_-_ subtract_uint64 (uint, uint) uint
_-_ subtract_double (double, double) double
_-_ subtract_duration_duration (duration, duration) duration
_-_ subtract_timestamp_duration (timestamp, duration) timestamp
_-_ subtract_timestamp_timestamp (timestamp, timestamp) duration
_*_ multiply_int64 (int, int) int
_*_ multiply_uint64 (uint, uint) uint
_*_ multiply_double (double, double) double
_/_ divide_int64 (int, int) int
_/_ divide_uint64 (uint, uint) uint
_/_ divide_double (double, double) double
_%_ modulo_int64 (int, int) int
_%_ modulo_uint64 (uint, uint) uint
-_ negate_int64 (int) int
-_ negate_double (double) double
@in in_list (A, list(A)) bool
@in in_map (A, map(A, B)) bool
_[_] index_list (list(A), int) A
_[_] index_map (map(A, B), A) B
_[_] optional_list_index_value (optional(list(A)), int) optional(A)
_[_] optional_map_index_value (optional(map(A, B)), A) optional(B)
_[?_] list_optindex_optional_int (list(A), int) optional(A)
_[?_] optional_list_optindex_optional_int (optional(list(A)), int) optional(A)
_[?_] map_optindex_optional_value (map(A, B), A) optional(B)
_[?_] optional_map_optindex_optional_value (optional(map(A, B)), A) optional(B)
cel.@mapInsert @mapInsert_map_key_value (map(A, B), A, B) map(A, B)
cel.@mapInsert @mapInsert_map_map (map(A, B), map(A, B)) map(A, B)
size size_string (string) int
size size_bytes (bytes) int
size size_list (list(A)) int
size size_map (map(A, B)) int
size string_size string.() int
size bytes_size bytes.() int
size list_size list(A).() int
size map_size map(A, B).() int
type type (A) type(A)
dyn to_dyn (A) dyn
bool bool_to_bool (bool) bool
bool string_to_bool (string) bool
bytes bytes_to_bytes (bytes) bytes
bytes string_to_bytes (string) bytes
double double_to_double (double) double
double int64_to_double (int) double
double string_to_double (string) double
double uint64_to_double (uint) double
duration duration_to_duration (duration) duration
duration int64_to_duration (int) duration
duration string_to_duration (string) duration
int int64_to_int64 (int) int
int double_to_int64 (double) int
int duration_to_int64 (duration) int
int string_to_int64 (string) int
int timestamp_to_int64 (timestamp) int
int uint64_to_int64 (uint) int
string string_to_string (string) string
string bool_to_string (bool) string
string bytes_to_string (bytes) string
string double_to_string (double) string
string duration_to_string (duration) string
string int64_to_string (int) string
string timestamp_to_string (timestamp) string
string uint64_to_string (uint) string
timestamp timestamp_to_timestamp (timestamp) timestamp
timestamp int64_to_timestamp (int) timestamp
timestamp string_to_timestamp (string) timestamp
uint uint64_to_uint64 (uint) uint
uint double_to_uint64 (double) uint
uint int64_to_uint64 (int) uint
uint string_to_uint64 (string) uint
contains contains_string string.(string) bool
endsWith ends_with_string string.(string) bool
startsWith starts_with_string string.(string) bool
matches matches_string string.(string) bool
matches matches (string, string) bool
getMilliseconds duration_to_milliseconds duration.() int
getSeconds duration_to_seconds duration.() int
getMinutes duration_to_minutes duration.() int
getHours duration_to_hours duration.() int
optional.of optional_of (A) optional(A)
optional.ofNonZeroValue optional_ofNonZeroValue (A) optional(A)
optional.none optional_none () optional(A)
value optional_value optional(A).() A
hasValue optional_hasValue optional(A).() bool
or optional_or_optional optional(A).(optional(A)) optional(A)
orValue optional_orValue_value optional(A).(A) A
charAt string_char_at_int string.(int) string
indexOf string_index_of_string string.(string) int
indexOf string_index_of_string_int string.(string, int) int
lastIndexOf string_last_index_of_string string.(string) int
lastIndexOf string_last_index_of_string_int string.(string, int) int
lowerAscii string_lower_ascii string.() string
upperAscii string_upper_ascii string.() string
replace string_replace_string_string string.(string, string) string
replace string_replace_string_string_int string.(string, string, int) string
split string_split_string string.(string) list(string)
split string_split_string_int string.(string, int) list(string)
substring string_substring_int string.(int) string
substring string_substring_int_int string.(int, int) string
trim string_trim string.() string
format string_format string.(list(dyn)) string
strings.quote strings_quote (string) string
join list_join list(string).() string
join list_join_string list(string).(string) string
find string_find_string string.(string) string
findAll string_find_all_string string.(string) list(string)
findAll string_find_all_string_int string.(string, int) list(string)
sets.contains list_sets_contains_list (list(A), list(A)) bool
sets.equivalent list_sets_equivalent_list (list(A), list(A)) bool
sets.intersects list_sets_intersects_list (list(A), list(A)) bool
slice list_slice list(A).(int, int) list(A)
flatten list_flatten list(list(A)).() list(A)
flatten list_flatten_int list(dyn).(int) list(dyn)
distinct list_distinct list(A).() list(A)
reverse list_reverse list(A).() list(A)
lists.range lists_range (int) list(int)
first list_first list(A).() optional(A)
last list_last list(A).() optional(A)
indexOf list_a_index_of_int list(A).(A) int
lastIndexOf list_a_last_index_of_int list(A).(A) int
url string_to_url (string) url
isURL is_url_string (string) bool
getScheme url_get_scheme url.() string
getHost url_get_host url.() string
getHostname url_get_hostname url.() string
getPort url_get_port url.() string
getEscapedPath url_get_escaped_path url.() string
getQuery url_get_query url.() map(string, list(string))
quantity string_to_quantity (string) quantity
isQuantity is_quantity_string (string) bool
sign quantity_sign (quantity) int
asInteger quantity_get_int quantity.() int
isInteger quantity_is_integer quantity.() bool
asApproximateFloat quantity_get_float quantity.() double
isGreaterThan quantity_is_greater_than quantity.(quantity) bool
isLessThan quantity_is_less_than quantity.(quantity) bool
compareTo quantity_compare_to quantity.(quantity) int
add quantity_add quantity.(quantity) quantity
add quantity_add_int quantity.(int) quantity
sub quantity_sub quantity.(quantity) quantity
sub quantity_sub_int quantity.(int) quantity
semver string_to_semver (string) semver
semver string_bool_to_semver (string, bool) semver
isSemver is_semver_string (string) bool
isSemver is_semver_string_bool (string, bool) bool
isGreaterThan semver_is_greater_than semver.(semver) bool
isLessThan semver_is_less_than semver.(semver) bool
compareTo semver_compare_to semver.(semver) int
major semver_major semver.() int
minor semver_minor semver.() int
patch semver_patch semver.() int
ip string_to_ip (string) ip
ip cidr_ip cidr.() ip
isIP is_ip (string) bool
ip.isCanonical ip_is_canonical (string) bool
family ip_family ip.() int
isUnspecified ip_is_unspecified ip.() bool
isLoopback ip_is_loopback ip.() bool
isLinkLocalMulticast ip_is_link_local_multicast ip.() bool
isLinkLocalUnicast ip_is_link_local_unicast ip.() bool
isGlobalUnicast ip_is_global_unicast ip.() bool
string ip_to_string (ip) string
cidr string_to_cidr (string) cidr
isCIDR is_cidr (string) bool
containsIP cidr_contains_ip_string cidr.(string) bool
containsIP cidr_contains_ip_ip cidr.(ip) bool
containsCIDR cidr_contains_cidr_string cidr.(string) bool
containsCIDR cidr_contains_cidr cidr.(cidr) bool
prefixLength cidr_prefix_length cidr.() int
masked cidr_masked cidr.() cidr
string cidr_to_string (cidr) string
validate format_validate format.(string) optional(list(string))
format.named format_named (string) optional(format)
path authorizer_path authorizer.(string) path_check
group authorizer_group authorizer.(string) group_check
serviceAccount authorizer_serviceaccount authorizer.(string, string) authorizer
resource groupcheck_resource group_check.(string) resource_check
subresource resourcecheck_subresource resource_check.(string) resource_check
namespace resourcecheck_namespace resource_check.(string) resource_check
name resourcecheck_name resource_check.(string) resource_check
fieldSelector authorizer_fieldselector resource_check.(string) resource_check
labelSelector authorizer_labelselector resource_check.(string) resource_check
check pathcheck_check path_check.(string) decision
check resourcecheck_check resource_check.(string) decision
errored decision_errored decision.() bool
error decision_error decision.() string
allowed decision_allowed decision.() bool
reason decision_reason decision.() string
jsonpatch.escapeKey string_jsonpatch_escapeKey_string (string) string
"""
FORMAT_NAMES = (
    "dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "dns1123LabelPrefix",
    "dns1123SubdomainPrefix", "dns1035LabelPrefix", "labelValue", "uri", "uuid", "byte", "date", "datetime",
)  # fmt: skip
_DATE_PARTS = (
    "getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes",
    "getSeconds", "getMilliseconds",
)  # fmt: skip
_ORDERED = (
    ("bool", "bool"), ("int", "int64"), ("uint", "uint64"), ("double", "double"), ("string", "string"),
    ("bytes", "bytes"), ("timestamp", "timestamp"), ("duration", "duration"),
)  # fmt: skip
_COMPARISONS = (("_<_", "less"), ("_<=_", "less_equals"), ("_>_", "greater"), ("_>=_", "greater_equals"))
_NUMBERS = (("int", "int64"), ("uint", "uint64"), ("double", "double"))


def _rows() -> list[str]:
    rows = [row for row in _TABLE.splitlines() if row]
    for function, word in _COMPARISONS:
        rows += [f"{function} {word}_{name} ({t}, {t}) bool" for t, name in _ORDERED]
        rows += [f"{function} {word}_{a}_{b} ({s}, {t}) bool" for s, a in _NUMBERS for t, b in _NUMBERS if s != t]
    for part in _DATE_PARTS:
        rows.append(f"{part} timestamp_{part} timestamp.() int")
        rows.append(f"{part} timestamp_{part}_with_tz timestamp.(string) int")
    for element in ("int", "uint", "double", "duration"):
        rows.append(f"sum list_{element}_sum_{element} list({element}).() {element}")
    for element in ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"):
        rows.append(f"isSorted list_{element}_is_sorted_bool list({element}).() bool")
        rows.append(f"sort list_{element}_sort list({element}).() list({element})")
        rows.append(f"@sortBy list_{element}_sortByAssociatedKeys list(A).(list({element})) list(A)")
        rows.append(f"min list_{element}_min_{element} list({element}).() {element}")
        rows.append(f"max list_{element}_max_{element} list({element}).() {element}")
    rows += [f"format.{name} format_named_{name} () format" for name in FORMAT_NAMES]
    return rows


def _read(row: str) -> Overload:
    function, name, signature = row.split(" ", 2)
    variables: dict[str, Type] = {}
    receiver, arguments, result = _cut(signature)
    params = ([_type(receiver, variables)] if receiver else []) + [_type(a, variables) for a in _parts(arguments)]
    made = _type(result, variables)
    return Overload(name, function, bool(receiver), tuple(params), made, tuple(variables.values()))


def _cut(signature: str) -> tuple[str, str, str]:
    at = signature.find(".(")
    receiver, rest = (signature[:at], signature[at + 1 :]) if at >= 0 else ("", signature)
    depth = 0
    for place, char in enumerate(rest):
        depth += (char == "(") - (char == ")")
        if not depth:
            return receiver, rest[1:place], rest[place + 2 :]
    raise AssertionError(signature)


def _parts(text: str) -> list[str]:
    found, depth, start = [], 0, 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            found.append(text[start:place])
            start = place + 1
    return [part.strip() for part in (*found, text[start:]) if part.strip()]


def _type(text: str, variables: dict[str, Type]) -> Type:
    if len(text) == 1:
        return variables.setdefault(text, Type("param", text))
    if found := SIMPLE.get(text) or OPAQUE.get(text):
        return found
    name, _, inner = text.partition("(")
    params = [_type(p, variables) for p in _parts(inner[:-1])]
    match name:
        case "list":
            return list_of(params[0])
        case "map":
            return map_of(params[0], params[1])
        case "optional":
            return optional_of(params[0])
    return type_of(params[0])


FUNCTIONS: dict[str, tuple[Overload, ...]] = {}
for _row in _rows():
    _overload = _read(_row)
    FUNCTIONS[_overload.function] = (*FUNCTIONS.get(_overload.function, ()), _overload)
NAMESPACED = frozenset(name for name in FUNCTIONS if "." in name)
PATCH_FUNCTIONS = frozenset(("jsonpatch.escapeKey",))  # only where an expression makes patches
# What names a type in an expression: type(x) == string.
TYPE_NAMES: dict[str, Type] = {
    **{name: SIMPLE[name] for name in ("bool", "bytes", "double", "int", "string", "uint")},
    "dyn": DYN, "null_type": SIMPLE["null"], "list": list_of(DYN), "map": map_of(DYN, DYN), "type": type_of(DYN),
    "google.protobuf.Timestamp": SIMPLE["timestamp"], "google.protobuf.Duration": SIMPLE["duration"],
    "optional_type": optional_of(DYN), "net.IP": OPAQUE["ip"], "net.CIDR": OPAQUE["cidr"],
    "kubernetes.Quantity": OPAQUE["quantity"], "kubernetes.URL": OPAQUE["url"], "kubernetes.Semver": OPAQUE["semver"],
}  # fmt: skip
__all__ = ["BOOL", "FUNCTIONS", "INT", "NAMESPACED", "PATCH_FUNCTIONS", "STRING", "TYPE_NAMES", "Overload"]
