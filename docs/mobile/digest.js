'use strict'

/** RFC 8785: the one JSON text of a value. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const names = Object.keys(value).sort()
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

const fromText = (value) => (typeof value === 'string' ? JSON.parse(value) : value)

/** How the columns that `contents` names are read. An empty text is no word, no JSON, no list. */
const READ = {
  value: (value) => value,
  word: (value) => (value === '' ? null : value),
  json: (value) => (value === '' ? null : canonical(fromText(value))),
  list: (value) => (value === '' ? null : fromText(value)),
}

/** What is hashed of a record: the columns that phones own, without nulls and times. */
function content(row, kinds) {
  const fields = {}
  for (const [column, kind] of Object.entries(kinds)) {
    const read = READ[kind]
    const value = row[column] == null ? null : read(row[column])
    if (value !== null) fields[column] = value
  }
  return canonical({ deleted: false, fields, id: row.id, scope: row.scope_id })
}

/** {count, hash} of rows; `sha256` gives 64 hex digits of a text's UTF-8. */
function tableDigest(rows, kinds, sha256) {
  const mixed = [0, 0, 0, 0, 0, 0, 0, 0]
  for (const row of rows) {
    const hash = sha256(content(row, kinds))
    for (let at = 0; at < 8; at++) mixed[at] ^= parseInt(hash.slice(8 * at, 8 * at + 8), 16)
  }
  const hash = mixed.map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  return { count: rows.length, hash }
}

/** Names of the tables in which the phone differs from the server's `tables`. */
function differing(rowsOf, tables, contents, sha256) {
  return Object.keys(tables).filter((table) => {
    const mine = tableDigest(rowsOf[table] || [], contents[table] || {}, sha256)
    return mine.count !== tables[table].count || mine.hash !== tables[table].hash
  })
}

module.exports = { canonical, content, differing, tableDigest }
