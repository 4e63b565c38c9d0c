/** DermaDetect's records: the generated models, and what of its rules concerns the phone. */
import { Q, type Database, type Model } from '@nozbe/watermelondb'
import { Case, type MedgemmaQueue, Patient, versions } from './generated/dermadetect.js'
import { contents, type CaseDraft, type PatientDraft } from './generated/dermadetect-columns.js'
import { systemClock, type Clock } from './ports.js'
import { Repository } from './records/repository.js'
import { rawOf } from './records/row.js'
import { migrationsOf, schemaOf } from './records/schema.js'

export * from './generated/dermadetect.js'
export * from './generated/dermadetect-columns.js'

/** For the adapter. */
export const schema = /* @__PURE__ */ schemaOf(versions)

/** For the adapter: from every schema that was released. */
export const migrations = /* @__PURE__ */ migrationsOf(versions)

const QUEUE = 'medgemma_queue'

/**
 * Cases. A red one gets its row of `medgemma_queue` in the same write, as the server will make it: so a screen shows it
 * as queued before any network is there. The server's row has the same id and takes its place; the phone's is not sent.
 */
export class Cases extends Repository<Case, CaseDraft> {
  protected override creating(draft: CaseDraft, id?: string): Model[] {
    const [record] = super.creating(draft, id)
    return draft.risk_level === 'red' ? [record!, this.queued(record!.id)] : [record!]
  }

  protected override async updating(record: Case, values: Record<string, unknown>): Promise<Model[]> {
    const prepared = await super.updating(record, values)
    const waits = values['risk_level'] === 'red' && !(await this.rowOf(record.id))
    return waits ? [...prepared, this.queued(record.id)] : prepared
  }

  protected override async deleting(record: Case): Promise<Model[]> {
    const row = await this.rowOf(record.id)
    const own = row && rawOf(row)._status === 'created' ? [row.prepareDestroyPermanently()] : []
    return [...(await super.deleting(record)), ...own]
  }

  /** What goes with a patient that is deleted: the server deletes it, too, and would refuse what is still unsent. */
  async deletingAllOf(patientId: string): Promise<Model[]> {
    const cases = await this.query(Q.where('patient_id', patientId)).fetch()
    return (await Promise.all(cases.map((record) => this.deleting(record)))).flat()
  }

  private async rowOf(id: string): Promise<MedgemmaQueue | null> {
    const [row] = await this.database.get<MedgemmaQueue>(QUEUE).query(Q.where('id', id)).fetch()
    return row ?? null
  }

  private queued(id: string): Model {
    return this.database.get<MedgemmaQueue>(QUEUE).prepareCreate((row) => {
      row._raw.id = id
      const now = this.clock.now()
      const values = { case_id: id, status: 'queued', attempts: 0, created_at: now, last_modified_at: now }
      for (const [column, value] of Object.entries(values)) row._setRaw(column, value)
    })
  }
}

/** Patients. One that is deleted takes its cases along, in the same write. */
export class Patients extends Repository<Patient, PatientDraft> {
  constructor(
    database: Database,
    private readonly cases: Cases,
    clock: Clock = systemClock,
  ) {
    super(database, Patient, contents.patients, clock)
  }

  protected override async deleting(record: Patient): Promise<Model[]> {
    return [...(await super.deleting(record)), ...(await this.cases.deletingAllOf(record.id))]
  }
}

/** The repositories of the tables that phones write. */
export function repositories(database: Database, clock: Clock = systemClock) {
  const cases = new Cases(database, Case, contents.cases, clock)
  return { patients: new Patients(database, cases, clock), cases }
}
