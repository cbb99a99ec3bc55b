metadata description = 'Functions that escape, measure and fill in text.'

@export()
@description('Bytes of a text in UTF-8.')
func byteCount(text string) int => length(base64(text)) / 4 * 3

@export()
@description('String literal of the Kusto query language: a backslash and a quote are escaped by a backslash.')
func kustoLiteral(text string) string => '\'${replace(replace(text, '\\', '\\\\'), '\'', '\\\'')}\''

@export()
@description('Text as it stands between the quotes of a JSON string.')
func jsonEscaped(text string) string => substring(string([text]), 2, max(0, length(string([text])) - 4))

@export()
@description('A query template with its values. They are filled in one after the other, so what a user wrote freely comes last: it is never searched for placeholders.')
func filled(template string, values { placeholder: string, value: string }[]) string =>
  reduce(values, trim(template), (text, value) => replace(text, '\'${value.placeholder}\'', value.value))
