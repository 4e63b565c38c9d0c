'use strict'
const { Model, appSchema, tableSchema } = require('@nozbe/watermelondb')
const { schemaMigrations } = require('@nozbe/watermelondb/Schema/migrations')

/** For the adapter. `generated` is schema.js. */
function schemaOf(generated) {
  const { version, tables } = generated
  return appSchema({ version, tables: tables.map((table) => tableSchema(table)) })
}

/** For the adapter too. One entry for each version after the first that your app was shipped with. */
const migrations = schemaMigrations({ migrations: [] })

/** A class for each table. Write your own instead: with decorators, associations, readers. */
function modelsOf(generated) {
  return generated.tables.map(
    ({ name }) =>
      class extends Model {
        static table = name
      },
  )
}

/** Writes columns of a record, inside create() or update(). Every edit says when it was made. */
function fill(record, values, now = Date.now()) {
  const created_at = record._raw.created_at || now
  for (const [name, value] of Object.entries({ created_at, last_modified_at: now, ...values }))
    record._setRaw(name, value)
}

module.exports = { fill, migrations, modelsOf, schemaOf }
