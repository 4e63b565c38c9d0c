/** Records on the phone: schema, migrations, rows and repositories. */
export { Gone, Repository, type RowClass } from './repository.js'
export { Row, rawOf, type Kind, type Kinds, type Raw } from './row.js'
export { migrationsOf, schemaOf, type ColumnSpec, type SchemaVersion, type TableSpec } from './schema.js'
