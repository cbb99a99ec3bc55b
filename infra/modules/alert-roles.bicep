metadata description = 'Roles of the alert rules: read access only. Without an identity of its own, a rule runs with the rights of the user who deployed it last, and stops working when that user loses them.'

@description('Principal id of the identity under which the rules run. The assignments are named after it, because names from the resource id would conflict when the identity is recreated.')
param principalId string

@description('Workspace that the identity may read.')
param workspaceName string

@description('Application Insights component that the identity may read.')
param componentName string

// Built-in role "Reader": https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var readerRoleId = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'acdd72a7-3385-48ef-bd42-f606fba81ae7'
)

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource workspaceReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, principalId, readerRoleId)
  scope: workspace
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: readerRoleId
  }
}

resource componentReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, principalId, readerRoleId)
  scope: component
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: readerRoleId
  }
}
