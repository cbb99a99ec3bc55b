metadata description = 'Budget: a mail when the resource group costs more than expected. It does not stop any resource.'

import { mailAddress } from 'types.bicep'

@description('Prefix of all names.')
param prefix string

@description('Amount a month, in the currency of the subscription.')
param amount int

@description('First day of the month from which the budget counts, such as 2026-12-01. Azure does not allow a later change.')
@minLength(10)
@maxLength(10)
param startDate string

@description('Addresses that get the mails. A budget sends mails without an action group, so they need no passcode.')
param mailAddresses mailAddress[]

resource budget 'Microsoft.Consumption/budgets@2026-06-01' = {
  name: '${prefix}-budget'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      actual: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: mailAddresses
      }
      forecast: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: mailAddresses
      }
    }
  }
}
