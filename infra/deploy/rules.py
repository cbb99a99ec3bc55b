"""Compares the deployed alert rules with the expected ones, and prints one line per difference.

  rules.py SNAPSHOT DEVICES    the rules as JSON on standard input; settings from the environment
  rules.py --list PREFIX       prints the rules about devices, and PREFIX's about the daily cap, separated by tabs:
                               name, prefix, whether it is enabled, id
  rules.py --monitored PREFIX  prints the devices in PREFIX's enabled rules about silence

The fixed part of a rule (kind of condition, measure, whether it resolves) is compared with the snapshot,
which the tests verify; the part that depends on the settings (devices, minutes) is compared with the
settings.
"""

import json
import os
import re
import sys

MAX_DEVICES = 200
# The rules about devices; their names may end with the number of a part of the devices.
KINDS = ("device-silent", "device-silent-reminder", "outage-report")
# Prefix and kind of a rule.
RULE_NAME = re.compile(rf"(.+?)-((?:{'|'.join(KINDS)})(?:-\d+)?|daily-cap)")
SECONDS = {"M": 60, "H": 3600, "D": 86400}
# A string literal in a query, and the list of devices as the templates write it.
TEXT = r"'((?:[^'\\]|\\.)*)'"
DEVICE_LIST = re.compile(rf"(?:datatable\(device: string\)\[|pack_array\()((?:\s*{TEXT}\s*,?)*)")


def named_devices(query):
    """Returns the devices in a rule's query."""
    texts = (text for found in DEVICE_LIST.finditer(query) for text in re.findall(TEXT, found[1]))
    return [re.sub(r"\\(.)", r"\1", text) for text in texts]


def has_placeholder(query, devices):
    """Whether a placeholder of the query's template is still in it. A device may have the name of a
    placeholder."""
    others = DEVICE_LIST.sub("", query)
    if re.search(r"'(DEVICES|SILENCE_MINUTES|FREQUENCY_MINUTES|MARKS|DAILY_HOUR|MINIMUM_MINUTES|COMPONENT_ID)'", others):
        return True
    return "DEVICES" in named_devices(query) and "DEVICES" not in devices


def kind(name, prefix):
    """Returns the rule's name without prefix and without the number of its part of the devices."""
    return re.sub(r"-\d+$", "", name[len(prefix) + 1 :])


def seconds(duration):
    number, unit = re.fullmatch(r"PT?(\d+)([MHD])", duration).groups()
    return int(number) * SECONDS[unit]


def fixed_properties(rule):
    """Returns the properties that do not depend on the settings."""
    properties = rule["properties"]
    condition = properties["criteria"]["allOf"][0]
    return {
        "autoMitigate": properties.get("autoMitigate"),
        "muteActionsDuration": properties.get("muteActionsDuration") or None,
        "timeAggregation": condition.get("timeAggregation"),
        "metricMeasureColumn": condition.get("metricMeasureColumn"),
        "operator": condition.get("operator"),
        "dimensions": sorted(dimension["name"] for dimension in condition.get("dimensions") or []),
        "numberOfEvaluationPeriods": (condition.get("failingPeriods") or {}).get("numberOfEvaluationPeriods", 1),
    }


def differences(rule, model, settings):
    properties = rule["properties"]
    condition = properties["criteria"]["allOf"][0]
    query = condition["query"]
    what = kind(rule["name"], settings["prefix"])
    if not properties.get("enabled"):
        yield "it is disabled"
    if model:
        expected, found = fixed_properties(model), fixed_properties(rule)
        for name, value in expected.items():
            if found[name] != value:
                yield f"{name}: {found[name]!r}, must be {value!r}"
    frequency = seconds(properties["evaluationFrequency"])
    if what == "daily-cap":
        wanted = seconds(model["properties"]["evaluationFrequency"])
    else:
        # Only the silence rule has a query that can be evaluated every minute.
        wanted = 60 * (settings["evaluation"] if what == "device-silent" else max(settings["evaluation"], 5))
    if frequency != wanted:
        yield f"evaluated every {frequency // 60} minutes, must be {wanted // 60}"
    if seconds(properties["windowSize"]) < frequency:
        yield "its window is shorter than its evaluation frequency"
    if properties.get("autoMitigate") and properties.get("muteActionsDuration"):
        yield "autoMitigate and muteActionsDuration exclude each other"
    if what == "device-silent" and float(condition["threshold"]) != settings["silence"]:
        yield f"threshold: {condition['threshold']} minutes, must be {settings['silence']:g}"
    if query.rstrip().endswith(";"):
        yield 'its query ends with ";", which prevents its evaluation'
    if has_placeholder(query, settings["devices"]):
        yield "its query contains a placeholder without a value"
    groups = [group.lower().split("/")[-1] for group in properties["actions"].get("actionGroups") or []]
    if settings["group"].lower() not in groups:
        yield f"it does not notify the action group {settings['group']}"


def list_rules(prefix):
    for rule in json.load(sys.stdin):
        match = RULE_NAME.fullmatch(rule["name"])
        if match and (match[2] != "daily-cap" or match[1].lower() == prefix.lower()):
            enabled = "true" if rule["properties"].get("enabled") else "false"
            print(rule["name"], match[1], enabled, rule["id"], sep="\t")


def list_monitored(prefix):
    for rule in json.load(sys.stdin):
        match = RULE_NAME.fullmatch(rule["name"])
        if not match or match[1].lower() != prefix.lower() or not rule["properties"].get("enabled"):
            continue
        if re.fullmatch(r"device-silent(-\d+)?", match[2]):
            print(*named_devices(rule["properties"]["criteria"]["allOf"][0]["query"]), sep="\n")


def main():
    if sys.argv[1] in ("--list", "--monitored"):
        (list_rules if sys.argv[1] == "--list" else list_monitored)(sys.argv[2])
        return
    snapshot_path, devices_path = sys.argv[1:]
    settings = {
        "prefix": os.environ["PREFIX"],
        "group": os.environ["ACTION_GROUP"],
        "evaluation": int(os.environ["EVALUATION_MINUTES"]),
        "silence": float(os.environ["SILENCE_MINUTES"]),
    }
    with open(devices_path, encoding="utf-8") as file:
        devices = settings["devices"] = [line.split("\t")[0] for line in file]
    rules = {rule["name"]: rule for rule in json.load(sys.stdin)}
    with open(snapshot_path, encoding="utf-8") as file:
        resources = json.load(file)["predictedResources"]
    # The snapshot is generated with the prefix "ispmon".
    models = {
        kind(resource["name"], "ispmon"): resource
        for resource in resources
        if resource["type"].lower() == "microsoft.insights/scheduledqueryrules"
    }
    wanted = os.environ["RULE_NAMES"].split()
    for name in wanted:
        if name not in rules:
            print(f"{name}: it is missing")
            continue
        for difference in differences(rules[name], models.get(kind(name, settings["prefix"])), settings):
            print(f"{name}: {difference}")
    silent = [rules[name] for name in wanted if name in rules and kind(name, settings["prefix"]) == "device-silent"]
    named = {name for rule in silent for name in named_devices(rule["properties"]["criteria"]["allOf"][0]["query"])}
    if len(devices) > MAX_DEVICES * len(silent):
        print(f"{len(silent)} rules monitor {len(devices)} devices; at most {MAX_DEVICES} fit into one")
    for device in devices:
        if device not in named:
            print(f'no rule monitors the device "{device}"')


if __name__ == "__main__":
    main()
