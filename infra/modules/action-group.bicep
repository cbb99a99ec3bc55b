metadata description = 'Receivers of the alerts.'

import { mailAddress } from 'types.bicep'
import { checkedUrls } from 'checks.bicep'

@description('Prefix of all names.')
param prefix string

@description('Addresses that get the mails.')
param mailAddresses mailAddress[]

@description('Whether the owners of the subscription get the mails too. Their addresses need no passcode.')
param mailOwners bool

@description('URLs that are called with the common alert schema, separated by commas, or empty.')
@secure()
param webhookUrls string

// Built-in role "Owner".
var ownerRoleId = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635'

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${prefix}-people'
  location: 'global'
  properties: {
    enabled: true
    groupShortName: take(prefix, 12)
    emailReceivers: [
      for address in mailAddresses: {
        name: address
        emailAddress: address
        useCommonAlertSchema: true
      }
    ]
    webhookReceivers: map(checkedUrls(webhookUrls), (url, index) => {
      name: 'webhook-${index + 1}'
      serviceUri: url
      useCommonAlertSchema: true
    })
    armRoleReceivers: mailOwners
      ? [
          {
            name: 'owners of the subscription'
            roleId: ownerRoleId
            useCommonAlertSchema: true
          }
        ]
      : []
  }
}

@description('Resource id of the action group.')
output actionGroupId string = actionGroup.id

@description('Name of the action group.')
output actionGroupName string = actionGroup.name
