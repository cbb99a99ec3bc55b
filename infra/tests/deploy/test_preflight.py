"""What is detected before anything is created, and the meaning of Azure's refusals."""

import os

import fixtures
from fixtures import DeployTest


class Preflight(DeployTest):
    """What is detected before anything is created."""

    def stops(self, *words, **plan):
        self.plan(**plan)
        run = self.fails(self.run_script(), "Nothing was created or changed", *words)
        self.assertIsNone(self.state()["group"])
        return run

    def test_login(self):
        self.stops("az login", login="none")
        self.stops("Your login has expired", "az login", login="expired")

    def test_each_api_needs_a_token(self):
        unknown = "AADSTS500011: The resource principal named https://api.loganalytics.io was not found in the tenant"
        factor = "AADSTS50076: Due to a configuration change made by your administrator you must use multi-factor authentication"
        for message, advice in ((unknown, "az ad sp create"), (factor, "az login --scope https://api.loganalytics.io/.default")):
            run = self.stops(advice, "Getting a token for Log Analytics failed", failures=[{"match": "api.loganalytics.io", "message": message}])
            self.assertNotIn("expired", run.output)
            self.ask("close")

    def test_a_network_failure_is_not_reported_as_an_expired_login(self):
        message = "Max retries exceeded with url: /organizations/v2.0 (Caused by NameResolutionError)"
        run = self.stops("Max retries exceeded", failures=[{"match": "get-access-token", "message": message}])
        self.assertNotIn("expired", run.output)

    def test_a_login_that_expires_during_the_run(self):
        self.plan(failures=[{"match": "deployment group create", "message": "AADSTS700082: The refresh token has expired."}])
        self.fails(self.run_script(), "your login has expired: az login")

    def test_rights(self):
        contributor = {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/*/Delete"]}
        self.stops("roleAssignments/write", "Role Based Access Control Administrator", permissions=[contributor])
        administrator = {"actions": ["Microsoft.Authorization/roleAssignments/write"], "notActions": []}
        self.plan(permissions=[contributor, administrator])
        self.succeeds(self.run_script())

    def test_missing_rights_with_force(self):
        self.plan(permissions=[])
        self.succeeds(self.run_script("--force"))

    def test_region(self):
        self.stops("westeurope has no Flex Consumption", "northeurope", regions=["North Europe"])

    def test_runtime(self):
        self.stops("RUNTIME_NAME=node", runtimes=["node"])
        self.write(".env", fixtures.ENVIRONMENT + "RUNTIME_NAME=node\nRUNTIME_VERSION=22\n")
        self.succeeds(self.run_script())

    def test_a_failed_runtime_query_is_not_reported_as_missing_runtime(self):
        run = self.stops("injected fault", failures=[{"match": "list-flexconsumption-runtimes", "message": "injected fault"}])
        self.assertNotIn("does not offer", run.output)

    def test_queries_that_the_owner_of_a_group_may_not_make(self):
        right = "(AuthorizationFailed) The client does not have authorization to perform action 'x/read' over scope '/subscriptions/2'"
        failures = [{"match": match, "message": right} for match in ("lock", "provider show", "list-flexconsumption", "/permissions")]
        self.plan(group={"name": "ispmon", "location": "westeurope", "tags": None}, failures=failures)
        run = self.succeeds(self.run_script())
        self.assertEqual(run.output.count("so it is not checked"), 5)
        self.assert_deployed()

    def test_failed_queries_with_force(self):
        self.plan(failures=[{"match": match, "message": "(InternalFault) x"} for match in ("/locks?", "list-flexconsumption")])
        self.fails(self.run_script(), "(InternalFault) x")
        self.succeeds(self.run_script("--force"))

    def test_rights_beyond_the_group(self):
        right = "(AuthorizationFailed) The client does not have authorization to perform action 'x' over scope '/subscriptions/2/resourcegroups/ispmon'"
        self.stops("make you its Owner: az group create -n ispmon -l westeurope", failures=[{"match": "group create", "message": right}])
        self.ask("close")
        self.stops("az provider register --wait --namespace Microsoft.Web", registered=[], failures=[{"match": "provider register", "message": right}])

    def test_programs_that_exist_but_do_not_work(self):
        for name, text in (
            ("python3", 'echo "xcode-select: note: No developer tools were found" >&2; exit 1\n'),
            ("curl", 'echo "curl: cannot execute binary file" >&2; exit 126\n'),
            ("az", 'echo "pyenv: version of az is not installed" >&2; exit 127\n'),
        ):
            with self.subTest(name):
                self.program(name, text)
                words = text.split('"')[1]
                self.stops(f"The program {name} does not work", words, "install")
                os.remove(self.path(f"bin/{name}"))

    def test_the_az_of_windows(self):
        run = self.stops("the Windows version", "inside WSL", windows=True)
        self.assertEqual(len(self.state()["calls"]), 1)
        self.assertNotIn("Flex", run.output)
        self.program("uname", "echo MINGW64_NT-10.0-19045\n")
        self.stops("a Windows shell", "WSL")

    def test_bicep_that_cannot_be_fetched(self):
        for message in (
            "Error while attempting to download Bicep CLI: <urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed>",
            "Error while attempting to retrieve the latest Bicep version: HTTPSConnectionPool(host='aka.ms', port=443)",
        ):
            run = self.stops("could not fetch Bicep", "REQUESTS_CA_BUNDLE", failures=[{"match": "build-params", "message": message}])
            self.assertNotIn("reject the settings", run.output)
            self.ask("close")

    def test_an_old_bicep(self):
        for message in (
            "/x/modules/checks.bicep(63,7) : Error BCP057: The name \"fail\" does not exist in the current context.",
            "/x/main.bicepparam(5,10) : Error BCP337: This declaration type is not valid for a Bicep Parameters file.",
            "/x/main.bicepparam(5,10) : Error BCP338: Failed to evaluate.\n/x/modules/text.bicep(1,1) : Error BCP018: x",
        ):
            run = self.stops("az bicep upgrade", failures=[{"match": "build-params", "message": message}])
            self.assertNotIn("reject the settings", run.output)
            self.ask("close")

    def test_what_the_templates_reject(self):
        refused = "main.bicepparam(56,16) : Error BCP338: The template language function 'int' cannot convert provided value 'REFUSED: ALERT_EMAIL must contain each address only once: [\"a\"]' to integer value."
        self.stops('reject the settings: ALERT_EMAIL must contain each address only once: ["a"]', failures=[{"match": "build-params", "message": refused}])
        with open(os.path.join(fixtures.ROOT, "infra/main.bicepparam"), encoding="utf-8") as file:
            lines = file.read().split("\n")
        number = next(number for number, line in enumerate(lines, 1) if "'MAX_INSTANCES'" in line)
        wrong = f"/x/main.bicepparam({number},24) : Error BCP033: Expected a value of type \"'5'\""
        self.stops("(MAX_INSTANCES)", "correct MAX_INSTANCES", failures=[{"match": "build-params", "message": wrong}])

    def test_a_prefix_that_changes(self):
        self.succeeds(self.run_script())
        before = len(self.state()["calls"])
        self.write(".env", fixtures.ENVIRONMENT + "PREFIX=home\n")
        self.fails(self.run_script(), "contains a deployment with the PREFIX ispmon", "set PREFIX back", "another RG", "--force")
        self.assertNotIn(" create ", "".join(self.state()["calls"][before:]))
        self.succeeds(self.run_script("--force"))
        self.assertIn("home-device-silent", self.state()["rules"])
        self.assertIn("WARN  The rule ispmon-device-silent belongs to a deployment with PREFIX=ispmon", self.run_script("--check").output)

    def test_a_region_that_changes(self):
        self.succeeds(self.run_script())
        before = len(self.state()["calls"])
        self.write(".env", fixtures.ENVIRONMENT + "LOCATION=northeurope\n")
        self.fails(self.run_script(), "are in westeurope, but LOCATION is northeurope", "set LOCATION=westeurope", "another RG")
        self.assertNotIn(" create ", "".join(self.state()["calls"][before:]))

    def test_a_group_that_is_being_deleted(self):
        self.plan(group={"name": "ispmon", "location": "westeurope", "tags": {}, "properties": {"provisioningState": "Deleting"}})
        self.fails(self.run_script(), "is being deleted", "az group wait --deleted")

    def test_locks(self):
        scope = "/subscriptions/00000000-0000-0000-0000-000000000002"
        lock = {"level": "ReadOnly", "name": "frozen", "id": f"{scope}/providers/Microsoft.Authorization/locks/frozen"}
        self.stops("frozen", "az lock delete", locks=[lock])
        other = {**lock, "id": f"{scope}/resourceGroups/other/providers/Microsoft.Authorization/locks/frozen"}
        self.plan(locks=[other])
        self.succeeds(self.run_script())
        held = {**lock, "level": "CanNotDelete", "id": f"{scope}/resourceGroups/ISPMON/providers/x/locks/held"}
        self.plan(locks=[held])
        self.fails(self.run_script("--destroy"), "CanNotDelete")

    def test_a_transient_fault_is_not_shown(self):
        message = "(TooManyRequests) The request is being throttled."
        self.plan(failures=[{"match": "provider show", "message": message, "times": 2}])
        run = self.succeeds(self.run_script())
        self.assertNotIn("TooManyRequests", run.output)

    def test_refusals_by_azure_with_their_remedy(self):
        for message, advice in (
            ("(RequestDisallowedByAzure) Resource 'ispmon-logs' was disallowed by Azure: the policy allows best regions", "may use only certain regions"),
            ("(RequestDisallowedByPolicy) Resource 'x' was disallowed by policy.", "a policy of your organisation"),
            ("(InvalidResourceLocation) The resource 'ispmon-logs' already exists in location 'westeurope'", "set LOCATION in ./.env back"),
            ("(Conflict) The workspace name 'ispmon-logs' is not unique", "another PREFIX and another RG"),
            ("(ReadOnlyDisabledSubscription) The subscription is disabled and therefore marked as read only.", "has disabled the subscription"),
            ("(ResourceGroupBeingDeleted) The resource group 'ispmon' is in deprovisioning state", "az group wait --deleted"),
            ("(DeploymentQuotaExceeded) Creating the deployment would exceed the quota of '800'", "Delete old entries"),
            ("(SubscriptionIsOverQuotaForSku) This region has quota of 0 instances", "request more quota"),
            ("(LocationNotAvailableForResourceType) The provided location 'x' is not available", "the regions named in the error"),
            ("AADSTS90002: Tenant 'x' not found.", "az login --tenant"),
            ("AADSTS7000222: The provided client secret keys are expired", "service principal"),
            ("AADSTS999999: Something new", "login.microsoftonline.com/error"),
            ("'deployment' is misspelled or not recognized by the system.", "az upgrade"),
        ):
            with self.subTest(message):
                self.plan(failures=[{"match": "deployment group create", "message": message}])
                self.fails(self.run_script(), message, advice)

    def test_bad_options(self):
        for arguments in (("--nonsense",), ("--zip",), ("--check", "--destroy")):
            self.assertEqual(self.run_script(*arguments, package=False, yes=False).status, 64)
