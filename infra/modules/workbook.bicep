metadata description = 'Workbook: a page in the portal with the figures of all devices.'

import { jsonEscaped } from 'text.bicep'

@description('Azure region of the workbook.')
param location string

@description('Prefix of all names.')
param prefix string

@description('Resource id of the Application Insights component that the workbook queries.')
param componentId string

var queries = [
  { placeholder: 'AVAILABILITY', text: loadTextContent('../queries/workbook/availability.kql') }
  { placeholder: 'OUTAGES_BY_CAUSE', text: loadTextContent('../queries/workbook/outages-by-cause.kql') }
  { placeholder: 'HEARTBEATS_AND_LATENCY', text: loadTextContent('../queries/workbook/heartbeats-and-latency.kql') }
  { placeholder: 'LAST_SEEN', text: loadTextContent('../queries/workbook/last-seen.kql') }
  { placeholder: 'INGESTION_COST', text: loadTextContent('../queries/workbook/ingestion-cost.kql') }
  { placeholder: 'JOURNAL_HEADS', text: loadTextContent('../queries/workbook/journal-heads.kql') }
  { placeholder: 'TWO_MACHINES_ONE_NAME', text: loadTextContent('../queries/workbook/two-machines-one-name.kql') }
]

// Replaces the placeholder for the range by the workbook's parameter.
func withTimeRange(query string) string =>
  replace(
    replace(trim(query), 'ago(\'RANGE\')', 'datetime({TimeRange:startISO})'),
    '\'RANGE\'',
    '(now() - datetime({TimeRange:startISO}))'
  )

var template = loadTextContent('../workbook.json')
var content = reduce(
  queries,
  replace(template, '"COMPONENT_ID"', '"${componentId}"'),
  (text, query) => replace(text, '"${query.placeholder}"', '"${jsonEscaped(withTimeRange(query.text))}"')
)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, prefix, 'workbook')
  location: location
  kind: 'shared'
  properties: {
    displayName: '${prefix}: internet connections'
    category: 'workbook'
    sourceId: componentId
    version: 'Notebook/1.0'
    serializedData: content
  }
}
