metadata description = 'User-assigned identity, which outlives the resources that use it.'

@description('Azure region of the identity.')
param location string

@description('Name of the identity.')
param identityName string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: identityName
  location: location
}

@description('Resource id of the identity.')
output identityId string = identity.id

@description('Id for role assignments. It changes when the identity is recreated.')
output principalId string = identity.properties.principalId

@description('Id by which an application selects the identity.')
output clientId string = identity.properties.clientId
