"""Holds the deployed alert rules against what they must be, and prints a line for each difference.

  rules.py SNAPSHOT DEVICES    the rules as JSON on standard input; settings from the environment
  rules.py --list PREFIX       prints the rules about devices, and PREFIX's about the daily cap, with tabs:
                               name, prefix, whether it is enabled, id

What a rule is (kind of condition, what it measures, whether it resolves) comes from the snapshot, which the
tests prove; what the settings decide (devices, minutes) is looked for in the deployed rules.
"""

import json
import os
import re
import sys

MOST_DEVICES = 200
# The prefix, and what the rule is about.
OURS = re.compile(r"(.+?)-(device-silent(?:-reminder)?(?:-\d+)?|outage-report(?:-\d+)?|daily-cap)")
SECONDS = {"M": 60, "H": 3600, "D": 86400}


def kind(name, prefix):
    """The rule's name without prefix and without the number of its part of the devices."""
    return re.sub(r"-\d+$", "", name[len(prefix) + 1 :])


def seconds(duration):
    number, unit = re.fullmatch(r"PT?(\d+)([MHD])", duration).groups()
    return int(number) * SECONDS[unit]


def shape(rule):
    """What must be as in the snapshot, whatever the settings are."""
    properties = rule["properties"]
    condition = properties["criteria"]["allOf"][0]
    return {
        "resolves by itself": properties.get("autoMitigate"),
        "pause between two mails": properties.get("muteActionsDuration") or None,
        "aggregation": condition.get("timeAggregation"),
        "measured column": condition.get("metricMeasureColumn"),
        "operator": condition.get("operator"),
        "dimensions": sorted(dimension["name"] for dimension in condition.get("dimensions") or []),
        "evaluation periods": (condition.get("failingPeriods") or {}).get("numberOfEvaluationPeriods", 1),
    }


def quoted(name):
    """A name as it stands in a query."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def differences(rule, model, settings):
    properties = rule["properties"]
    condition = properties["criteria"]["allOf"][0]
    query = condition["query"]
    what = kind(rule["name"], settings["prefix"])
    if not properties.get("enabled"):
        yield "it is disabled"
    if model:
        expected, found = shape(model), shape(rule)
        for name, value in expected.items():
            if found[name] != value:
                yield f"{name}: {found[name]!r}, must be {value!r}"
    frequency = seconds(properties["evaluationFrequency"])
    # Only silence has a query that may be evaluated every minute.
    wanted = 60 * (settings["evaluation"] if what == "device-silent" else max(settings["evaluation"], 5))
    if frequency != wanted:
        yield f"evaluated every {frequency // 60} minutes, must be {wanted // 60}"
    if seconds(properties["windowSize"]) < frequency:
        yield "its window is shorter than the time between two evaluations"
    if properties.get("autoMitigate") and properties.get("muteActionsDuration"):
        yield "it resolves and is muted at once"
    if what == "device-silent" and float(condition["threshold"]) != settings["silence"]:
        yield f"silence from {condition['threshold']} minutes on, must be {settings['silence']:g}"
    if query.rstrip().endswith(";"):
        yield 'its query ends with ";", with which a rule never runs'
    if re.search(r"'(DEVICES|SILENCE_MINUTES|FREQUENCY_MINUTES|MARKS|COMPONENT_ID)'", query):
        yield "its query has a placeholder in it"
    groups = [group.lower().split("/")[-1] for group in properties["actions"].get("actionGroups") or []]
    if settings["group"].lower() not in groups:
        yield f"it does not mail the action group {settings['group']}"


def list_rules(prefix):
    for rule in json.load(sys.stdin):
        match = OURS.fullmatch(rule["name"])
        if match and (match[2] != "daily-cap" or match[1].lower() == prefix.lower()):
            enabled = "true" if rule["properties"].get("enabled") else "false"
            print(rule["name"], match[1], enabled, rule["id"], sep="\t")


def main():
    if sys.argv[1] == "--list":
        list_rules(sys.argv[2])
        return
    snapshot_path, devices_path = sys.argv[1:]
    settings = {
        "prefix": os.environ["PREFIX"],
        "group": os.environ["ACTION_GROUP"],
        "evaluation": int(os.environ["EVALUATION_MINUTES"]),
        "silence": float(os.environ["SILENCE_MINUTES"]),
    }
    rules = {rule["name"]: rule for rule in json.load(sys.stdin)}
    with open(snapshot_path, encoding="utf-8") as file:
        resources = json.load(file)["predictedResources"]
    # The snapshot is made with the prefix "ispmon".
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
    queries = [rule["properties"]["criteria"]["allOf"][0]["query"] for rule in silent]
    with open(devices_path, encoding="utf-8") as file:
        devices = [line.split("\t")[0] for line in file]
    if len(devices) > MOST_DEVICES * len(silent):
        print(f"{len(silent)} rules watch {len(devices)} devices; at most {MOST_DEVICES} fit into one")
    for device in devices:
        if not any(quoted(device) in query for query in queries):
            print(f'no rule watches the device "{device}"')


main()
