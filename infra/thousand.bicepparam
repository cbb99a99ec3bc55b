// A thousand devices, which is more than a rule can hold: thousand.snapshot.json shows how they are split. The
// cheapest evaluation. No environment is read.
using './main.bicep'

param location = 'westeurope'
param prefix = 'ispmon'
param devices = map(range(1, 1000), number => 'site-${padLeft(number, 4, '0')}')
param mailAddresses = [
  'owner@example.org'
]
param evaluationMinutes = '15'
param dailyCapGb = 5
