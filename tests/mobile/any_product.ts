// What an app does with the modules of two products: the one of the neutral tests, and one of odd names.
import { Database } from '@nozbe/watermelondb'
import lokijs from '@nozbe/watermelondb/adapters/lokijs/index.js'
import { migrationsOf, Repository, schemaOf } from '@dermadetect/care-kit/records'
import { contents as notebookContents, type NotebookDraft, type NoteDraft } from './notebooks-columns.js'
import * as notebooks from './notebooks.js'
import { contents as oddContents, type QueryRecordDraft, type RowRecordDraft } from './odd-columns.js'
import * as odd from './odd.js'

function opened({ versions, models }: Pick<typeof notebooks, 'versions'> & { models: readonly unknown[] }): Database {
  const options = { useWebWorker: false, useIncrementalIndexedDB: false, dbName: 'x', extraLokiOptions: { autosave: false } }
  const adapter = new lokijs.default({ schema: schemaOf(versions), migrations: migrationsOf(versions), ...options })
  return new Database({ adapter, modelClasses: models as never })
}

const one = opened(notebooks)
const books = new Repository<notebooks.Notebook, NotebookDraft>(one, notebooks.Notebook, notebookContents.notebooks)
const notes = new Repository<notebooks.Note, NoteDraft>(one, notebooks.Note, notebookContents.notes)
const { id } = await books.create({ cover: { title: 'Birds' } })
const note = await notes.create({ notebook_id: id, mark: 'red', pinned: true, page: 3, picture_keys: ['a'] })
const two = opened(odd)
const rows = new Repository<odd.RowRecord, RowRecordDraft>(two, odd.RowRecord, oddContents.rows)
const row = await rows.create({ text: 'a', table: 'b', update: 'c', kind: "it's" })
const child = await rows.create({ row_id: row.id })
const queries = new Repository<odd.QueryRecord, QueryRecordDraft>(two, odd.QueryRecord, oddContents.queries)
await queries.create({ from_id: row.id, row: child.id })
console.log('said', JSON.stringify([
  note.mark, note.pinned, note.page, note.picture_keys, (await note.notebook())?.cover, await (await books.find(id))?.notes.fetchCount(),
  row.text, row.table_, row.update_, row.kind, (await child.row_())?.id === row.id, await row.queries_by_from_id.fetchCount(),
  await child.queries_by_row.fetchCount(),
]))
process.exit()
