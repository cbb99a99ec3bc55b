"""One Azure subscription as deploy.sh sees it: the existing resources, and the response to each call.

Responses have the format of the documentation or of a recording. A plan injects faults: a call fails, or the
script is killed at a call, before or after the call takes effect.
"""

import copy
import json
import os
import re
import secrets
import signal
import subprocess

from host import Host

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"
WORKSPACE = "7d6f0a52-3c1e-4f7b-9f0e-3b0d7a1c2e55"
PRINCIPAL = "3f9e1c9a-5c4b-4d58-8f1d-5e2b7a9c0d11"
KINDS = ("device-silent", "device-silent-reminder", "outage-report")
SETTINGS = """RG LOCATION PREFIX HEARTBEAT_DEVICE ALERT_EMAIL ALERT_WEBHOOK ALERT_OWNERS SILENCE_MINUTES EVALUATION_MINUTES
REMINDER_MINUTES DAILY_REMINDER_HOUR REPORT_MINUTES RULES_ENABLED RUNTIME_NAME RUNTIME_VERSION MAX_INSTANCES DAILY_CAP_GB
BUDGET_AMOUNT BUDGET_START""".split()
ROLES = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
OWNER = [{"actions": ["*"], "notActions": []}]


class Failure(Exception):
    """The message that az prints after ERROR:, with exit status 1 (3 for a resource that does not exist)."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


class Hangs(Exception):
    """The call never returns."""


class Killed(Exception):
    """The script was killed during this call."""


def snapshot(name):
    """Returns the resources of one of the snapshots."""
    with open(os.path.join(ROOT, f"infra/{name}.snapshot.json"), encoding="utf-8") as file:
        return json.load(file)["predictedResources"]


def option(arguments, *names):
    for name in names:
        if name in arguments:
            return arguments[arguments.index(name) + 1]
    return None


class Subscription:
    """The subscription of one test case."""

    def __init__(self, folder):
        self.folder = folder
        self.calls = []
        self.group = None
        self.registered = set()
        self.deployments = {}
        self.keys = {}
        self.rules = []
        self.mails = []
        self.blobs = []
        self.identities = {}
        self.budgets = {}
        self.violations = []
        self.queries = 0
        self.settings = {}
        self.parameters = {}
        self.host = Host(folder, self.keys)
        self.snapshot = snapshot("main")
        # The evaluation frequency of each rule when silence is evaluated every minute.
        self.every_minute = {
            resource["name"].removeprefix("Net-Watch-16-xyz-"): resource["properties"]["evaluationFrequency"]
            for resource in snapshot("many")
            if resource["type"] == "Microsoft.Insights/scheduledQueryRules"
        }

    def plan(self):
        try:
            with open(os.path.join(self.folder, "plan.json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def state(self):
        """Returns the state for a test's assertions."""
        return {
            "calls": self.calls,
            "group": self.group,
            "keys": sorted(self.keys),
            "secrets": list(self.keys.values()),
            "rules": [rule["name"] for rule in self.rules],
            "enabled": [rule["name"] for rule in self.rules if rule["properties"]["enabled"]],
            "mails": self.mails,
            "rows": [line for _, line in self.host.rows],
            "violations": self.violations,
            "url": self.host.url,
            "settings": self.settings,
            "parameters": self.parameters,
        }

    def call(self, cli, call):
        """Executes one call of az: (status, output, error)."""
        arguments, environment = call["arguments"], call["environment"]
        plan = self.plan()
        number = len(self.calls) + 1
        self.calls.append(" ".join(arguments))
        # A group that existed before the script ran.
        if number == 1 and "group" in plan:
            self.group = plan["group"]
        self.host.dropping = plan.get("dropping", False)
        if "losing" in plan and not self.host.rows and not self.host.lost:
            self.host.losing = plan["losing"]
        if "cold" in plan and not self.host.rows:
            self.host.cold_answers, plan["cold"] = plan["cold"], 0
        for secret in self.keys.values():
            if any(secret in text for text in [*arguments, *environment.values()]):
                self.violations.append(f"a key is in an argument or variable of: {' '.join(arguments)[:80]}")
        fault = plan.get("fault", {}) if plan.get("fault", {}).get("at") == number else {}
        command, parsed = cli.parse(arguments, call["input"])
        for name, value in vars(parsed).items():
            if isinstance(value, str) and value in plan.get("defaults", []):
                self.violations.append(f"{name}={value} comes from the user's configuration in: {' '.join(arguments)[:80]}")
        if fault.get("when") == "before":
            self.inject(fault, call)
        for known in plan.get("failures", []):
            text = " ".join(arguments)
            if known["match"] in text and text_count(self.calls, known["match"]) <= known.get("times", 10**6):
                if known.get("hang"):
                    raise Hangs
                raise Failure(known["message"])
        result = self.answer(command, arguments, environment, call["input"], plan)
        if fault.get("when") == "after":
            self.inject(fault, call)
        output = cli.output(parsed, result)
        # The az of Windows ends lines with CR LF.
        return output.replace("\n", "\r\n") if plan.get("windows") else output

    def inject(self, fault, call):
        if "message" in fault:
            raise Failure(fault["message"])
        os.killpg(os.getpgid(call["process"]), signal.SIGKILL)
        raise Killed

    def answer(self, command, arguments, environment, standard_input, plan):
        name = "answer_" + re.sub("[ -]", "_", command)
        if not hasattr(self, name):
            raise Failure(f"the stand-in has no answer for: az {command}")
        self.environment, self.input, self.current = environment, standard_input, plan
        return getattr(self, name)(arguments)

    def need_group(self, arguments):
        name = option(arguments, "--resource-group", "-g", "--name")
        if self.group is None or self.group["name"] != name:
            raise Failure(f"(ResourceGroupNotFound) Resource group '{name}' could not be found.", 3)

    def answer_version(self, arguments):
        return {"azure-cli": "2.91.0", "azure-cli-core": "2.91.0", "extensions": {}}

    def answer_account_show(self, arguments):
        if self.current.get("login") == "none":
            raise Failure("Please run 'az login' to setup account.")
        return {"id": SUBSCRIPTION, "name": "Home", "user": {"name": "owner@contoso.com", "type": "user"}}

    def answer_account_get_access_token(self, arguments):
        if self.current.get("login") == "expired":
            raise Failure(
                "AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks.\n"
                "Interactive authentication is needed. Please run:\naz login"
            )
        return {"accessToken": "SECRET-token", "expiresOn": "2026-11-28 23:59:59.000000"}

    def answer_cloud_show(self, arguments):
        # Where curl creates many keys; the calls of az never go there.
        self.host.slow_down = self.current.get("throttled", 0)
        return {"endpoints": {"resourceManager": self.host.url.removesuffix("/api/ping") + "/"}}

    def answer_group_exists(self, arguments):
        if "exists" in self.current:
            return self.current["exists"]
        return self.group is not None and self.group["name"] == option(arguments, "--name")

    def answer_group_show(self, arguments):
        self.need_group(arguments)
        return self.group

    def answer_group_create(self, arguments):
        tag, value = option(arguments, "--tags").split("=")
        self.group = {
            "name": option(arguments, "--name"),
            "location": option(arguments, "--location"),
            "tags": {tag: value},
            "properties": {"provisioningState": "Succeeded"},
        }
        return self.group

    def answer_group_delete(self, arguments):
        self.need_group(arguments)
        self.group, self.rules, self.deployments, self.identities = None, [], {}, {}
        self.keys.clear()
        self.host.stop()

    def answer_resource_list(self, arguments):
        self.need_group(arguments)
        if option(arguments, "--resource-type") == "Microsoft.ManagedIdentity/userAssignedIdentities":
            return [{"name": name, "location": location} for name, location in self.identities.items()]
        return [{"type": rule["type"], "name": rule["name"]} for rule in self.snapshot]

    def answer_provider_show(self, arguments):
        known = option(arguments, "--namespace") in self.registered | set(self.current.get("registered", []))
        return {"registrationState": "Registered" if known else "NotRegistered"}

    def answer_provider_register(self, arguments):
        self.registered.add(option(arguments, "--namespace"))

    def answer_functionapp_list_flexconsumption_locations(self, arguments):
        return [{"name": name} for name in self.current.get("regions", ["West Europe", "northeurope"])]

    def answer_functionapp_list_flexconsumption_runtimes(self, arguments):
        if option(arguments, "--runtime") not in self.current.get("runtimes", ["custom", "node"]):
            return []
        return [{"sku": {"maximumInstanceCount": {"lowestMaximumInstanceCount": 1}}}]

    def answer_bicep_build_params(self, arguments):
        self.check_environment()
        if self.current.get("bicep"):
            # The real compiler, with the environment that the script passed to az.
            command = [self.current["bicep"], "build-params", option(arguments, "--file"), "--stdout"]
            result = subprocess.run(command, env=self.environment, capture_output=True)
            if result.returncode != 0:
                raise Failure(result.stderr.decode())
            values = json.loads(json.loads(result.stdout)["parametersJson"])["parameters"]
            self.parameters = {name: entry["value"] for name, entry in values.items()}
        return None

    def answer_deployment_group_what_if(self, arguments):
        self.check_environment()
        return {"changes": [], "status": "Succeeded"}

    def check_environment(self):
        for name in ("HEARTBEAT_DEVICE", "ALERT_EMAIL", "RULES_ENABLED"):
            if name not in self.environment:
                raise Failure(f"BCP427: Environment variable \"{name}\" does not exist and there's no default value set.")

        names = [*SETTINGS, *(f"HEARTBEAT_DEVICE_{number}" for number in range(2, 9))]
        self.settings = {name: self.environment[name] for name in names if name in self.environment}

    def devices(self):
        lists = [self.environment.get("HEARTBEAT_DEVICE" + part, "") for part in ("", *(f"_{n}" for n in range(2, 9)))]
        return [name.strip() for part in lists if part for name in part.split(",")]

    def answer_deployment_group_create(self, arguments):
        self.need_group(arguments)
        self.check_environment()
        prefix = self.environment.get("PREFIX", "ispmon")
        self.identities[f"{prefix}-alert-identity"] = self.environment["LOCATION"]
        if int(self.environment.get("BUDGET_AMOUNT", "0")) > 0:
            self.budgets[f"{prefix}-budget"] = self.environment["BUDGET_START"]
        made = []
        if self.environment["RULES_ENABLED"] == "true":
            if not self.host.rows:
                raise Failure("the rules are deployed before a heartbeat can be queried")
            made = list(self.make_rules())
        # Resources that a deployment does not name are kept.
        self.made = {rule["name"] for rule in made}
        self.rules = [rule for rule in self.rules if rule["name"] not in self.made] + made
        name = option(arguments, "--name")
        self.deployments[name] = {"id": f"/deployments/{name}", "properties": {"outputs": self.outputs()}}
        return self.deployments[name]

    def answer_deployment_group_show(self, arguments):
        self.need_group(arguments)
        if option(arguments, "--name") not in self.deployments:
            raise Failure("(DeploymentNotFound) Deployment could not be found.", 3)
        return self.deployments[option(arguments, "--name")]

    def outputs(self):
        prefix = self.environment.get("PREFIX", "ispmon")
        values = {
            "functionAppName": f"{prefix}-k3v7x2",
            "functionUrl": self.current.get("url", self.host.url),
            "storageAccountName": f"{prefix.replace('-', '')}k3v7x2",
            "deploymentContainer": "app-package",
            "workspaceName": f"{prefix}-logs",
            "workspaceId": WORKSPACE,
            "componentName": f"{prefix}-insights",
            "actionGroupName": f"{prefix}-people",
            "identityPrincipalId": PRINCIPAL,
            "ruleNames": [rule["name"] for rule in self.rules if rule["name"] in self.made],
        }
        return {name: {"type": "String", "value": value} for name, value in values.items()}

    def make_rules(self):
        """Returns the snapshot's rules with the devices, the minutes and the prefix of the environment."""
        devices = self.devices()
        chunks = [devices[at : at + 200] for at in range(0, len(devices), 200)]
        for model in self.snapshot:
            if model["name"] == "ispmon-daily-cap":
                yield self.adjusted(copy.deepcopy(model), "daily-cap")
            if model["name"].removeprefix("ispmon-") not in KINDS:
                continue
            for number, chunk in enumerate(chunks, 1):
                rule = copy.deepcopy(model)
                condition = rule["properties"]["criteria"]["allOf"][0]
                quoted = ", ".join("'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'" for name in chunk)
                condition["query"] = condition["query"].replace("'dl-home', 'office'", quoted)
                minutes = self.environment["EVALUATION_MINUTES"]
                every_minute = self.every_minute[model["name"].removeprefix("ispmon-")]
                rule["properties"]["evaluationFrequency"] = every_minute if minutes == "1" else f"PT{minutes}M"
                if model["name"].endswith("device-silent"):
                    condition["threshold"] = float(self.environment["SILENCE_MINUTES"])
                yield self.adjusted(rule, model["name"].removeprefix("ispmon-") + (f"-{number}" if number > 1 else ""))

    def adjusted(self, rule, name):
        """Returns the rule with the names of the environment's prefix, and with changes made outside of
        deploy.sh."""
        prefix = self.environment.get("PREFIX", "ispmon")
        rule["name"] = f"{prefix}-{name}"
        rule["properties"]["actions"]["actionGroups"] = [f"/x/actionGroups/{prefix}-people"]
        rule["properties"].update(self.current.get("tamper", {}))
        return rule

    def answer_functionapp_deployment_source_config_zip(self, arguments):
        self.need_group(arguments)
        self.host.deploy(option(arguments, "--src"))
        return {"status": "success"}

    def answer_functionapp_keys_list(self, arguments):
        self.need_group(arguments)
        if not self.keys:
            self.keys["default"] = "SECRET" + secrets.token_urlsafe(32)
        return {"functionKeys": dict(self.keys), "masterKey": "SECRET-master", "systemKeys": {}}

    def answer_functionapp_keys_set(self, arguments):
        self.keys[option(arguments, "--key-name")] = "SECRET" + secrets.token_urlsafe(32)
        return {"name": option(arguments, "--key-name"), "value": None}

    def answer_functionapp_config_appsettings_list(self, arguments):
        return [{"name": name, "value": value} for name, value in self.current.get("settings", {}).items()]

    def answer_storage_blob_upload(self, arguments):
        self.blobs.append(option(arguments, "--file"))

    def answer_storage_blob_generate_sas(self, arguments):
        return f"https://x.blob.core.windows.net/{option(arguments, '--name')}?sig=SECRET-signature"

    def answer_monitor_log_analytics_workspace_show(self, arguments):
        return {"workspaceCapping": {"dataIngestionStatus": self.current.get("ingestion", "RespectQuota")}}

    def answer_monitor_action_group_show(self, arguments):
        receivers = [{"emailAddress": address} for address in self.current.get("receivers", ["me@contoso.com"])]
        return {"enabled": True, "emailReceivers": receivers}

    def answer_monitor_action_group_test_notifications_create(self, arguments):
        self.mails.extend(arguments[at + 3] for at, text in enumerate(arguments) if text == "--add-action")
        return {"state": "Complete"}

    def answer_rest(self, arguments):
        url = option(arguments, "--url")
        if url.startswith("https://api.loganalytics.io/"):
            return self.query(option(arguments, "--body"))
        if url.endswith("/roleAssignments"):
            if f"$filter=principalId eq '{PRINCIPAL}'" not in arguments:
                raise Failure("(400) the roles of everybody")
            definitions = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/"
            roles = self.current.get("roles", list(ROLES))
            return {"value": [{"properties": {"roleDefinitionId": definitions + ROLES[role]}} for role in roles]}
        if "/permissions?" in url:
            return {"value": self.current.get("permissions", OWNER)}
        rules = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/ispmon/providers/Microsoft.Insights/scheduledQueryRules"
        if url.startswith(f"{rules}?"):
            return {"value": [{**rule, "id": f"{rules}/{rule['name']}"} for rule in self.rules]}
        if url.startswith(f"{rules}/") and option(arguments, "--method") == "patch":
            for rule in self.rules:
                if rule["name"] == url.split("?")[0].split("/")[-1]:
                    rule["properties"].update(json.loads(option(arguments, "--body"))["properties"])
            return None
        if "/locks?" in url:
            locks = self.current.get("locks", [])
            return {"value": [{**lock, "properties": {"level": lock["level"]}} for lock in locks]}
        if "/budgets/" in url:
            name = url.split("?")[0].split("/")[-1]
            if name not in self.budgets:
                raise Failure(f"Not Found({{'error': {{'code': '404', 'message': 'The budget {name} is not there.'}}}})")
            return {"name": name, "properties": {"timePeriod": {"startDate": f"{self.budgets[name]}T00:00:00Z"}}}
        if "/availabilityStatuses?" in url:
            state = self.current.get("health", "Available")
            unknown = self.current.get("no_health", [])
            return {
                "value": [
                    {
                        "id": f"/x/providers/microsoft.insights/scheduledqueryrules/{rule['name']}/providers/y",
                        "properties": {"availabilityState": state},
                    }
                    for rule in self.rules
                    if rule["name"] not in unknown
                ]
            }
        if url.endswith("/extensions/onedeploy?api-version=2024-11-01"):
            if "SECRET-signature" not in self.input:
                raise Failure("(400) the package has no address")
            self.host.deploy(self.blobs[-1])
            return None
        raise Failure(f"(404) Not Found: {url}")

    def query(self, body):
        """Runs the query on the lines that the function wrote. A new line appears only in the second query.
        """
        import duckdb_kql

        with open(body[1:], encoding="utf-8") as file:
            text = json.load(file)["query"]
        rows = list(self.host.rows)
        self.queries += 1
        if not rows:
            raise Failure("(BadArgumentError) SEM0100: 'where' operator: Failed to resolve table or column expression named 'AppTraces'")
        if "| count" in text and self.queries % 2:
            return {"tables": [{"rows": [[0]]}]}
        connection = duckdb_kql.connect()
        connection.execute("CREATE TABLE AppTraces (TimeGenerated TIMESTAMP, Message VARCHAR)")
        connection.executemany("INSERT INTO AppTraces VALUES (?, ?)", [list(row) for row in rows])
        result = duckdb_kql.query(connection, text).fetchall()
        return {"tables": [{"rows": [list(row) for row in result]}]}


def text_count(calls, text):
    return sum(text in call for call in calls)
