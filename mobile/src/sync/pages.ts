/** Rows of a page: at most, and at least. */
export const MOST_ROWS = 500
const LEAST_ROWS = 25

/** Rows of the next page when one of `rows` broke off; nothing said means the most. */
export const fewerRows = (rows: number | null | undefined): number => Math.max(LEAST_ROWS, Math.floor((rows || MOST_ROWS) / 2))

/** Rows of the next page when one of `rows` has come; null: the most. */
export const moreRows = (rows: number | null | undefined): number | null =>
  rows && rows + LEAST_ROWS < MOST_ROWS ? rows + LEAST_ROWS : null
