metadata description = 'An identity of its own, which outlives what runs under it.'

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

@description('Id by which roles are assigned to the identity. It is another one when the identity is made anew.')
output principalId string = identity.properties.principalId

@description('Id by which an application picks the identity.')
output clientId string = identity.properties.clientId
