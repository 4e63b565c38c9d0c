/** What the components say, in five languages; an app adds its own, or changes a sentence. */
export { ar } from './ar.js'
export { whyOf } from './codes.js'
export { en } from './en.js'
export { fr } from './fr.js'
export { hi } from './hi.js'
export { type Counted, type Language, type Plural, type PluralForm, type Sentence, type Why, type Words } from './language.js'
export { speechOf, type Names, type Speech } from './speech.js'
export { sw } from './sw.js'
