import { Q, type Database, type Model, type Query } from '@nozbe/watermelondb'
import { systemClock, whole, type Clock } from '../ports.js'
import { gateOf } from './gate.js'
import { rawOf, type Kinds, type Raw, type Row } from './row.js'
import { placeOf, shelfOf } from './shelf.js'

type Clause = ReturnType<typeof Q.where | typeof Q.sortBy | typeof Q.take | typeof Q.and | typeof Q.on>

/** A model class of the kit, as the generated modules hold them. */
export interface RowClass<T extends Row> {
  readonly table: string
  readonly prototype: T
}

/** The record is not on this phone: it was deleted here, or a sync has just taken it away. */
export class Gone extends Error {
  override readonly name = 'Gone'

  constructor(
    readonly table: string,
    readonly id: string,
  ) {
    super(`${table} has no record ${id}`)
  }
}

/** What a record's columns were when they were last equal to the server's, of those that were changed since. */
export type Base = Readonly<Record<string, unknown>>

/** Of each record with unsent edits its `Base`. A conflict is told from the echo of an own edit by it. */
export const basesOf = (database: Database) => shelfOf<Base>(database, 'kit/bases')

/**
 * The only way to write a table. It says in one place when an edit was made and which columns it changed, keeps what
 * they were before, and waits while a sync applies what it pulled.
 *
 * `Draft` is what an app may write; `kinds` says which of its columns are JSON text.
 */
export class Repository<T extends Row, Draft extends object> {
  constructor(
    protected readonly database: Database,
    protected readonly model: RowClass<T>,
    protected readonly kinds: Kinds,
    protected readonly clock: Clock = systemClock,
  ) {}

  /** A query of the records on this phone; deleted ones are not among them. */
  query(...clauses: Clause[]): Query<T> {
    return this.database.get<T>(this.model.table).query(...clauses)
  }

  /** A record, or null if this phone does not have it. */
  async find(id: string): Promise<T | null> {
    const [found] = await this.query(Q.where('id', id)).fetch()
    return found ?? null
  }

  /** Makes a record; the phone gives it its id. */
  async create(draft: Draft, id?: string): Promise<T> {
    const [record] = await this.write(() => this.creating(draft, id))
    return record as T
  }

  /** Makes records in one write: all of them, or none. */
  async createMany(drafts: readonly Draft[]): Promise<T[]> {
    const made: T[] = []
    await this.write(() =>
      drafts.flatMap((draft) => {
        const [record, ...more] = this.creating(draft)
        made.push(record as T)
        return [record!, ...more]
      }),
    )
    return made
  }

  /**
   * Changes a record. A value that is the same already is no change. A function is given the record as it is then: no
   * other edit falls in between. Throws `Gone`.
   */
  async update(id: string, change: Partial<Draft> | ((now: T) => Partial<Draft>)): Promise<T> {
    const [updated] = await this.write(async () => {
      const record = await this.existing(id)
      const values = this.values(typeof change === 'function' ? change(record) : change)
      await this.keepBase(record, values)
      return this.updating(record, values)
    })
    return updated as T
  }

  /** Deletes a record: here at once, elsewhere with the next sync. Throws `Gone`. */
  async delete(id: string): Promise<void> {
    await this.write(async () => this.deleting(await this.existing(id)))
  }

  /** What a creation writes: the record first, then what belongs to it. */
  protected creating(draft: Draft, id?: string): Model[] {
    const values = this.values(draft)
    return [
      this.database.get<T>(this.model.table).prepareCreate((record) => {
        if (id !== undefined) record._raw.id = id
        const now = this.clock.now()
        this.set(record, { ...values, created_at: now, last_modified_at: now })
      }),
    ]
  }

  /** What an update writes: the record first, then what belongs to it. */
  protected updating(record: T, values: Record<string, unknown>): Model[] | Promise<Model[]> {
    const changed = changedOf(rawOf(record), values)
    if (Object.keys(changed).length === 0) return [record]
    return [
      record.prepareUpdate(() => this.set(record, { ...changed, last_modified_at: this.clock.now() })),
    ]
  }

  /** What a deletion writes. */
  protected deleting(record: T): Model[] | Promise<Model[]> {
    return [record.prepareMarkAsDeleted()]
  }

  /** Columns as they are kept. Throws a `TypeError` for one that apps do not write. */
  protected values(given: object): Record<string, unknown> {
    const values: Record<string, unknown> = {}
    for (const [column, value] of Object.entries(given)) {
      const kind = this.kinds[column]
      if (!kind) throw new TypeError(`${this.model.table}.${column} is not written by apps`)
      if (value === undefined) continue
      const text = (kind === 'json' || kind === 'list') && value !== null
      values[column] = text ? JSON.stringify(value, (_, each) => whole(each)) : whole(value)
    }
    return values
  }

  protected async write(prepare: () => Model[] | Promise<Model[]>): Promise<Model[]> {
    await gateOf(this.database).passed()
    return this.database.write(async () => {
      const prepared = await prepare()
      await this.database.batch(prepared.filter((record) => record._preparedState))
      return prepared
    }, `${this.model.table} of the kit`)
  }

  private async existing(id: string): Promise<T> {
    const record = await this.find(id)
    if (!record) throw new Gone(this.model.table, id)
    return record
  }

  private set(record: T, values: Record<string, unknown>): void {
    for (const [column, value] of Object.entries(values)) record._setRaw(column, value as string)
  }

  /** Just before the edit: if the app dies in between, a base without an edit harms nothing. */
  private async keepBase(record: T, values: Record<string, unknown>): Promise<void> {
    const raw = rawOf(record)
    if (raw._status === 'created') return // nobody else can have edited it
    const edited = raw._changed.split(',')
    const fresh = Object.keys(changedOf(raw, values)).filter((column) => !edited.includes(column))
    if (fresh.length === 0) return
    const before = Object.fromEntries(fresh.map((column) => [column, raw[column]]))
    await basesOf(this.database).change((kept) => {
      const place = placeOf(this.model.table, record.id)
      kept[place] = raw._status === 'synced' ? before : { ...kept[place], ...before }
    })
  }
}

/** Of `values` those that a row does not have already. */
function changedOf(raw: Raw, values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([column, value]) => raw[column] !== value))
}
