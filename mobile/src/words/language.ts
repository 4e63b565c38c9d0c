/** What a language is made of. One that an app adds or changes is an object like those of the kit. */

/** Forms of a sentence with a number, by the categories of CLDR; `other` is for every number without its own. */
export type Plural = Partial<Record<PluralForm, string>> & { readonly other: string }

/** The categories of CLDR, without `other`. */
export type PluralForm = 'zero' | 'one' | 'two' | 'few' | 'many'

/** Why something was refused or did not work. Each code of the server belongs to one: `whyOf`. */
export type Why =
  | 'missing' | 'value' | 'too_long' | 'too_large' | 'app' | 'team' | 'parent_missing' | 'parent_deleted' | 'deleted'
  | 'moved' | 'not_allowed' | 'id_taken' | 'photo_broken' | 'photo_type' | 'photo_again' | 'photos_many' | 'log_in'
  | 'password' | 'account' | 'second_factor' | 'update_app' | 'busy' | 'tries' | 'overtaken' | 'unreachable' | 'time'
  | 'storage' | 'other' // prettier-ignore

/** Sentences. `{time}`, `{n}` and the like are put in. */
export type Sentence =
  // the banner
  | 'offline' | 'captive' | 'unreachable' | 'work_on'
  // the state of the sync
  | 'syncing' | 'complete' | 'never' | 'retry_at' | 'waits_for_network' | 'log_in' | 'update_app' | 'clock_wrong'
  | 'app_fault' | 'last_complete'
  // buttons
  | 'sync_now' | 'try_again' | 'put_away' | 'correct' | 'keep_marked'
  // records that were refused, and conflicts
  | 'record' | 'refused_title' | 'refused_none' | 'refused_kept' | 'refused_let_go' | 'field' | 'conflicts_title'
  | 'conflicts_none' | 'conflict_hint' | 'mine' | 'theirs' | 'empty' | 'yes' | 'no' | 'did_not_work'
  // the history
  | 'history_title' | 'history_none' | 'history_complete' | 'history_open' | 'sent' | 'received' | 'refused' | 'support'
  // the analyses
  | 'queue_title' | 'queue_none' | 'state_unsent' | 'state_queued' | 'state_processing' | 'state_done' | 'state_failed'
  | `why_${Why}` // prettier-ignore

/** Sentences that depend on a number, `{n}`. */
export type Counted = 'waiting' | 'attention' | 'more' | 'attempts'

/** Everything that the components say. */
export type Words = Readonly<Record<Sentence, string> & Record<Counted, Plural>>

/** A language. To change a sentence: `{ ...fr, words: { ...fr.words, sync_now: 'Envoyer' } }`. */
export interface Language {
  /** As BCP 47 has it: `fr`, or `fr-CD`. Times and numbers are written as there. */
  readonly tag: string
  readonly rightToLeft: boolean
  /** The form for a whole number from 0: engines of phones (Hermes) have no `Intl.PluralRules`. Without it they do it. */
  readonly plural?: (n: number) => PluralForm | 'other'
  readonly words: Words
}
