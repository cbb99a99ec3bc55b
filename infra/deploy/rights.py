"""Reads the permissions of the caller as JSON and prints the missing rights for a deployment.

  rights.py true|false    whether the resource group exists
"""

import fnmatch
import json
import sys

NEEDED = [
    "Microsoft.Resources/deployments/write",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.ManagedIdentity/userAssignedIdentities/write",
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.Web/sites/write",
    "Microsoft.Storage/storageAccounts/write",
    "Microsoft.OperationalInsights/workspaces/write",
    "Microsoft.Insights/components/write",
    "Microsoft.Insights/actionGroups/write",
    "Microsoft.Insights/scheduledQueryRules/write",
    "Microsoft.AlertsManagement/actionRules/write",
]


def matches(action, patterns):
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def main():
    permissions = json.load(sys.stdin)
    needed = list(NEEDED)
    if sys.argv[1] == "false":
        needed.append("Microsoft.Resources/subscriptions/resourceGroups/write")
    # An action that one assignment excludes may still be allowed by another one.
    missing = [
        action
        for action in needed
        if not any(
            matches(action, permission.get("actions") or [])
            and not matches(action, permission.get("notActions") or [])
            for permission in permissions
        )
    ]
    print(", ".join(missing))


main()
