import { Model, Q, type Query } from '@nozbe/watermelondb'
import type { Json, JsonMap } from '../ports.js'

/** How a digest reads a column that phones own: as it is, as a word, as JSON text, or as a list in JSON text. */
export type Kind = 'value' | 'word' | 'json' | 'list'

/** Column → how it is read. */
export type Kinds = Readonly<Record<string, Kind>>

/** A row as WatermelonDB keeps it. */
export type Raw = Record<string, unknown> & { id: string; _status: string; _changed: string }

/** The columns of a record as they are kept, by name. */
export const rawOf = (record: Model): Raw => record._raw as unknown as Raw

/** What every record has. Columns are read here and written by a repository, which also says when and what. */
export class Row extends Model {
  /** The team that the record belongs to; null until the server has said it. */
  get scope_id(): string | null {
    return this._text('scope_id')
  }

  /** When it was edited last: milliseconds, by the clock of the phone that did it. */
  get last_modified_at(): number {
    return this._number('last_modified_at') ?? 0
  }

  /** When it was made, in the same way. */
  get created_at(): number {
    return this._number('created_at') ?? 0
  }

  /** `synced`, or what of it waits to be sent: `created`, `updated`, `deleted`. */
  get sync_status(): string {
    return rawOf(this)._status
  }

  /** Names of the columns that were changed since the last sync. */
  get changed_columns(): readonly string[] {
    return rawOf(this)._changed.split(',').filter(Boolean)
  }

  // What reads columns: named unlike any column that a product may declare.

  protected _text(column: string): string | null {
    return (this._getRaw(column) as string | null | undefined) ?? null
  }

  protected _number(column: string): number | null {
    return (this._getRaw(column) as number | null | undefined) ?? null
  }

  protected _flag(column: string): boolean | null {
    return (this._getRaw(column) as boolean | null | undefined) ?? null
  }

  /** The value of a column of JSON text; null for an empty one, and for one that does not parse. */
  protected _json(column: string): Json {
    const text = this._text(column)
    if (!text) return null
    try {
      return JSON.parse(text) as Json
    } catch {
      return null // written past the repository: the screen goes on, the server refuses it
    }
  }

  protected _map(column: string): JsonMap | null {
    const value = this._json(column)
    return value && typeof value === 'object' && !Array.isArray(value) ? (value as JsonMap) : null
  }

  protected _list(column: string): readonly string[] | null {
    const value = this._json(column)
    return Array.isArray(value) ? (value as readonly string[]) : null
  }

  protected _children<T extends Model>(table: string, column: string): Query<T> {
    return this.collections.get<T>(table).query(Q.where(column, this.id))
  }

  protected async _parent<T extends Model>(table: string, column: string): Promise<T | null> {
    const id = this._text(column)
    if (!id) return null
    const [found] = await this.collections.get<T>(table).query(Q.where('id', id)).fetch()
    return found ?? null
  }
}
