metadata description = 'The identity under which the alert rules run their queries. Without one, a rule runs with the rights of whoever deployed it last and stops when these go.'

@description('Azure region of the identity.')
param location string

@description('Name of the identity.')
param identityName string

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

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: identityName
  location: location
}

resource workspaceReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(workspace.id, identity.id, readerRoleId)
  scope: workspace
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: readerRoleId
  }
}

resource componentReader 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(component.id, identity.id, readerRoleId)
  scope: component
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: readerRoleId
  }
}

@description('Resource id of the identity. Whoever takes it from here waits for its roles.')
output identityId string = identity.id
