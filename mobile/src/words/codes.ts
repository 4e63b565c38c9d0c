import type { Why } from './language.js'

/** Codes of the server, and kinds of faults on the phone, by what they mean to the user. */
const CODES: Readonly<Record<Exclude<Why, 'other'>, string>> = {
  missing: 'missing_field',
  value: 'wrong_type invalid_choice invalid_id number_out_of_range invalid_text too_deep',
  too_long: 'too_long',
  too_large: 'record_too_large request_too_large file_too_large too_many_pixels commit_too_big',
  app:
    'unknown_column unknown_table read_only_table time_in_seconds time_in_milliseconds invalid_json_column ' +
    'invalid_json_record invalid_json invalid_request invalid_cursor invalid_range invalid_sha256 method_not_allowed ' +
    'not_found unsupported_encoding key_in_use sha256_in_use idempotency_key_reused',
  team: 'scope_required unknown_scope',
  parent_missing: 'unknown_parent unknown_record',
  parent_deleted: 'parent_deleted',
  deleted: 'deleted purged',
  moved: 'moved',
  not_allowed: 'not_allowed forbidden',
  id_taken: 'id_unavailable',
  photo_broken: 'broken_file empty_file unreadable',
  photo_type: 'type_not_allowed',
  photo_again: 'wrong_size wrong_hash upload_lost not_processed upload_expired upload_incomplete file_missing too_many_at_once',
  photos_many: 'too_many_files',
  log_in: 'token_missing token_expired token_invalid refresh_invalid refresh_reused session_ended LoggedOut',
  password: 'credentials_wrong invalid_email password_length',
  account: 'account_disabled',
  second_factor: 'totp_required totp_wrong totp_setup_required',
  update_app: 'app_too_old',
  busy: 'busy internal configuration store_unavailable keys_unavailable files_unavailable request_timeout page_expired',
  tries: 'too_many_tries',
  overtaken: 'stale_push',
  unreachable: 'Unreachable',
  time: 'OutOfTime',
  storage: 'storage_full NoRoom',
}

/** Answers that came without a code, as from a proxy. */
const STATUS: Readonly<Record<string, Why>> = {
  401: 'log_in', 403: 'not_allowed', 408: 'busy', 409: 'overtaken', 413: 'too_large', 426: 'update_app', 429: 'tries',
} // prettier-ignore

/** What a code means to the user; `other` for one that is not known. */
export function whyOf(code: string): Why {
  if (/^5\d\d$/.test(code)) return 'busy'
  const found = Object.entries(CODES).find(([, codes]) => codes.split(' ').includes(code))
  return (found?.[0] as Why | undefined) ?? STATUS[code] ?? 'other'
}
