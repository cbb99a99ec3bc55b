metadata description = 'Functions that escape and measure text, and fill in templates.'

@export()
@description('Length of a text in bytes of UTF-8, rounded up to a multiple of 3.')
func byteCount(text string) int => length(base64(text)) / 4 * 3

@export()
@description('String literal of the Kusto query language: a backslash and a quote are escaped by a backslash.')
func kustoLiteral(text string) string => '\'${replace(replace(text, '\\', '\\\\'), '\'', '\\\'')}\''

@export()
@description('Text with the escapes of a JSON string, without the quotes.')
func jsonEscaped(text string) string => substring(string([text]), 2, max(0, length(string([text])) - 4))

@export()
@description('A query template with its values filled in. They are filled in one after the other, so free text of the user must come last: it is then never searched for placeholders.')
func filledTemplate(template string, values { placeholder: string, value: string }[]) string =>
  reduce(values, trim(template), (text, value) => replace(text, '\'${value.placeholder}\'', value.value))
