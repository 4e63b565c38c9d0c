"""The words that the red-flag rules understand: one table, made to be read by a clinician.

Nothing here is code. Each table is a word of ours and, by language, what forms and people write for
it. Words are separated by commas; case, accents, vowel marks of Arabic, `_`, `-` and full stops do
not matter. A language is added by adding its line, a word by adding the word. `answers` reads the
tables, `rules.py` judges; `docs/ai.md` shows them, and a test keeps the two equal.

Languages: en English, fr French, sw Swahili, hi Hindi (also in Latin letters), pt Portuguese, es
Spanish, ar Arabic; `xx` are signs and words of form engines, and yes and no of a few languages more.

To be confirmed by a clinician and by speakers of each language.
"""

from __future__ import annotations

from collections.abc import Mapping

Table = Mapping[str, Mapping[str, str]]

#: Raised with every change of these tables; the version of the rules is raised with it.
VERSION = "1"

#: What an answer can say of a sign. `some` is how much or since when: the sign is there.
REPLIES: Table = {
    "yes": {
        "en": "yes, y, yeah, yep, yup, true, t, ok, okay, on, definitely, affirmative",
        "fr": "oui, o, ouais, vrai, affirmatif",
        "sw": "ndiyo, ndio, naam, kweli, eeh",
        "hi": "हाँ, हां, हा, जी, जी हाँ, जी हां, सही, haan, haa, han, ha, ji, ji haan",
        "pt": "sim, s, verdadeiro",
        "es": "sí, si, verdadero, afirmativo",
        "ar": "نعم, أجل, ايوه, أيوا, بلى, صحيح, naam, aiwa, na3am",
        "xx": "1, x, xx, +, ++, +++, ✓, ✔, ☑, ✅, 👍, 是, yego, yee, eego, ہاں, جی, جی ہاں, হ্যাঁ, হা, አዎ, awo, "
        "छ, ho, ya, iya, oo, evet, ja, da, да, có",
    },
    # Yes by itself; with "not" before it, no ("not seen", "none present").
    "there": {
        "en": "present, positive, pos, +ve, ve+, confirmed, certain, observed, seen, noted, found, visible, "
        "detected, reported, there is, there are, has, have, had, checked, ticked, selected, reactive, any",
        "fr": "présent, présente, positif, positive, il y a, coché, visible",
        "sw": "ipo, yapo, iko, zipo, anayo, yupo, imeonekana",
        "hi": "है, हैं, मौजूद, hai, hain, था, थी",
        "pt": "presente, positivo, positiva, há, tem, visível",
        "es": "presente, positivo, positiva, hay, tiene, visible",
        "ar": "يوجد, توجد, موجود, موجودة, إيجابي, إيجابية, لديه, عنده",
    },
    "no": {
        "en": "no, n, nope, nah, none, not, nil, nothing, never, without, false, f, denies, denied, nor, "
        "neither, off, unchecked, unselected, no more, no longer, not any more, not applicable, na, n a, zero",
        "fr": "non, aucun, aucune, pas, pas de, jamais, néant, rien, sans, faux, nie, sans objet, ne, n, "
        "n'a pas, il n'y a pas, pas du tout, nul, nulle",
        "sw": "hapana, la, hakuna, hana, sio, siyo, bila, haipo, hayapo, hamna, kamwe, si kweli",
        "hi": "नहीं, नही, ना, न, कोई नहीं, नहीं है, बिना, गलत, कभी नहीं, जी नहीं, नहीं जी, nahi ji, nahi, nahin, nai, na, koi nahi, "
        "ji nahi",
        "pt": "não, nenhum, nenhuma, nada, nunca, sem, falso, nega, não há, não tem, nem",
        "es": "no, ningún, ninguno, ninguna, nada, nunca, sin, falso, niega, no hay, no tiene, ni",
        "ar": "لا, كلا, لا يوجد, لا توجد, ليس, ليست, بدون, بلا, غير موجود, غير موجودة, أبدا, خطأ, لم, laa, mafi, "
        "ما في, مافي",
        "xx": "0, 00, ✗, ✘, ❌, ☐, 👎, 否, 不, oya, nedda, maya, نہیں, نہ, না, নাই, নেই, አይ, አይደለም, የለም, छैन, "
        "होइन, hoina, chhaina, a'a, tidak, hayır, nein",
    },
    # No by itself; with "not" before it, it is not understood ("not stopped").
    "over": {
        "en": "absent, absence, negative, neg, -ve, ve-, resolved, stopped, healed, gone, cleared, normal, stable, "
        "afebrile, non reactive, nonreactive",
        "fr": "absent, absente, négatif, négative, normal, normale, résolu, arrêté, guéri",
        "sw": "kawaida, imekoma, imeacha, imepona",
        "hi": "सामान्य, बंद, ठीक, samanya",
        "pt": "ausente, negativo, negativa, normal, resolvido, parou, curado",
        "es": "ausente, negativo, negativa, normal, resuelto, paró, curado",
        "ar": "سلبي, سلبية, سليم, طبيعي, طبيعية, توقف, شفي",
    },
    "some": {
        "en": "some, very mild, very slight, very little, very light, very low, very small, mild, slight, slightly, light, little, a little, a bit, minor, minimal, few, a few, low, "
        "moderate, medium, moderately, occasional, occasionally, sometimes, intermittent, often, frequent, "
        "recurrent, continuous, constant, persistent, ongoing, spotting, trace, small, partial, partly, "
        "increasing, worse, worsening, getting worse, new, suspected, probable, possible, possibly, likely, "
        "maybe, perhaps, both, left, right, bilateral, localised, localized, burning, throbbing, stinging, "
        "dull, sharp, tender, aching, still, since, started, began, on and off",
        "fr": "très léger, très peu, très faible, peu, un peu, léger, légère, faible, modéré, modérée, moyen, moyenne, parfois, quelquefois, "
        "souvent, fréquent, continu, permanent, quelques, probable, possible, peut être, les deux, gauche, "
        "droite, depuis, pire, brûlure",
        "sw": "kidogo, kidogo sana, kiasi, wastani, mara kwa mara, wakati mwingine, mara nyingine, labda, huenda, tangu, "
        "zote mbili, inaongezeka",
        "hi": "बहुत कम, बहुत हल्का, थोड़ा, थोड़ी, थोड़ा सा, हल्का, हल्की, कुछ, मध्यम, कभी कभी, अक्सर, लगातार, शायद, दोनों, thoda, thodi, "
        "halka, kabhi kabhi, shayad",
        "pt": "muito pouco, muito leve, pouco, um pouco, leve, ligeiro, moderado, moderada, às vezes, frequente, contínuo, algum, "
        "alguma, talvez, provável, ambos, esquerdo, direito, desde, pior",
        "es": "muy poco, muy leve, poco, un poco, leve, ligero, ligera, moderado, moderada, a veces, frecuente, continuo, algo, "
        "alguna, algún, quizás, tal vez, probable, ambos, izquierdo, derecho, desde, peor",
        "ar": "قليل جدا, خفيف جدا, قليل, قليلا, خفيف, خفيفة, متوسط, متوسطة, أحيانا, غالبا, مستمر, بعض, ربما, محتمل, كلاهما, منذ",
    },
    "much": {
        "en": "severe, severely, very severe, heavy, heavily, profuse, massive, a lot, lots, much, very much, "
        "very, strong, intense, extreme, unbearable, worst, excruciating, uncontrolled, pouring, gushing, "
        "large, big, extensive, widespread, high, very high, rapid, rapidly, fast, quick, quickly, acute, "
        "hot, elevated, raised, many, critical, bad, very bad, serious, out of proportion",
        "fr": "sévère, grave, fort, forte, très, très fort, beaucoup, abondant, abondante, important, "
        "importante, intense, insupportable, massif, massive, élevé, élevée, rapide, rapidement, étendu",
        "sw": "kali, makali, mkali, sana, nyingi, mengi, kubwa, haraka, kasi, juu, mbaya, mbaya sana",
        "hi": "तेज, तेज़, बहुत, बहुत ज्यादा, ज्यादा, ज़्यादा, गंभीर, भारी, असहनीय, अधिक, उच्च, tez, bahut, "
        "bahut zyada, zyada",
        "pt": "grave, severo, severa, forte, muito, muita, intenso, intensa, abundante, insuportável, maciço, "
        "alto, alta, elevada, rápido, rápida, rapidamente, extenso",
        "es": "grave, severo, severa, fuerte, mucho, mucha, muy, intenso, intensa, abundante, insoportable, "
        "masivo, alto, alta, elevada, rápido, rápida, rápidamente, extenso",
        "ar": "شديد, شديدة, حاد, حادة, كثير, كثيرا, جدا, قوي, قوية, غزير, عالي, عالية, مرتفع, مرتفعة, سريع, "
        "سريعة, سريعا, لا يحتمل",
    },
    # Neither yes nor no: somebody was asked and could not say. A person looks.
    "unsure": {
        "en": "unknown, not known, unsure, not sure, uncertain, unclear, dont know, don't know, do not know, "
        "dk, idk, cannot tell, can't tell, cannot say, not certain, refused, no idea, no answer, "
        "not assessed, not examined, not checked, undetermined, other, missing",
        "fr": "inconnu, inconnue, ne sait pas, je ne sais pas, sais pas, pas sûr, incertain, nsp, refus, "
        "non évalué, non examiné, pas examiné",
        "sw": "sijui, hajui, haijulikani, sina uhakika, hana uhakika, haijapimwa",
        "hi": "पता नहीं, मालूम नहीं, नहीं पता, नहीं मालूम, अज्ञात, pata nahi, pata nahin, maloom nahi, nahi pata",
        "pt": "desconhecido, não sei, não sabe, não tem certeza, incerto, ignorado, não avaliado",
        "es": "desconocido, no sé, no sabe, no lo sé, no está seguro, incierto, se desconoce, no evaluado",
        "ar": "غير معروف, لا أعرف, لا اعلم, لا أدري, لا يعرف, لا تعرف, غير متأكد, مجهول",
        "xx": "?, ??, ???",
    },
    # The question was left open: as if it had not been asked.
    "open": {
        "en": "null, undefined, nan, select, choose, please select, not asked, skipped, blank, empty, "
        "not measured, not taken, not done, no thermometer, pending",
        "fr": "non mesuré, non mesurée, non demandé, pas mesuré, choisir",
        "sw": "haikupimwa, chagua",
        "hi": "नहीं मापा, मापा नहीं, चुनें",
        "pt": "não medido, não medida, não perguntado, selecione",
        "es": "no medido, no medida, no preguntado, seleccione",
        "ar": "لم يقاس, لم تقاس, اختر",
        "xx": "-, --, ---, —, –, ., .., ..., …, /",
    },
    # Words that turn what follows round, in texts of several signs: "no fever but bleeding".
    "but": {
        "en": "but, however, except, only, although",
        "fr": "mais, sauf, seulement",
        "sw": "lakini, ila, isipokuwa",
        "hi": "लेकिन, पर, मगर, lekin",
        "pt": "mas, porém, exceto, só",
        "es": "pero, excepto, salvo, sólo, solo",
        "ar": "لكن, ولكن, إلا, فقط",
    },
    "or": {
        "en": "or, nor",
        "fr": "ou, ni",
        "sw": "au, wala",
        "hi": "या, ya",
        "pt": "ou, nem",
        "es": "o, ni",
        "ar": "أو, ولا",
    },
}

#: What makes a case red by itself when it is answered with yes: as a question's key, as a word of a list.
SIGNS: Table = {
    "bleeding": {
        "en": "bleeding, bleeds, bleed, bled, haemorrhage, hemorrhage, haemorrhaging, bleeds easily, "
        "easy bleeding, blood loss",
        "fr": "saignement, saignements, saigne, saigner, hémorragie",
        "sw": "kutoka damu, inatoka damu, anatoka damu, kutokwa na damu, anatokwa na damu, kuvuja damu, "
        "inavuja damu, damu",
        "hi": "खून, खून बहना, खून आना, खून बह रहा, रक्तस्राव, khoon, khoon behna",
        "pt": "sangramento, sangra, sangrando, sangrar, hemorragia",
        "es": "sangrado, sangra, sangrando, sangrar, hemorragia",
        "ar": "نزيف, نزف, ينزف, تنزف",
    },
    "heavy_bleeding": {
        "en": "heavy bleeding, severe bleeding, profuse bleeding, uncontrolled bleeding, massive bleeding, "
        "bleeding heavily, bleeding that does not stop, bleeding does not stop, bleeding won't stop, "
        "uncontrolled haemorrhage, uncontrolled hemorrhage, severe haemorrhage, severe hemorrhage",
        "fr": "saignement abondant, saignement important, hémorragie grave, hémorragie massive",
        "sw": "damu nyingi, kutoka damu nyingi, kutokwa na damu nyingi",
        "hi": "बहुत खून, अत्यधिक रक्तस्राव, bahut khoon",
        "pt": "sangramento intenso, sangramento abundante, hemorragia grave",
        "es": "sangrado abundante, sangrado intenso, hemorragia grave",
        "ar": "نزيف شديد, نزيف حاد, نزيف غزير",
    },
    "rapid_growth": {
        "en": "rapid growth, growing rapidly, growing fast, grows fast, growing quickly, fast growing, "
        "rapidly growing, grew quickly, grew fast, rapid enlargement",
        "fr": "croissance rapide, grossit vite, grandit vite, grossit rapidement",
        "sw": "kukua haraka, inakua haraka, unakua haraka",
        "hi": "तेजी से बढ़ना, तेजी से बढ़ रहा, tezi se badhna",
        "pt": "crescimento rápido, cresce rápido, crescendo rápido",
        "es": "crecimiento rápido, crece rápido, creciendo rápido",
        "ar": "نمو سريع, ينمو بسرعة, يكبر بسرعة",
    },
    "fever": {
        "en": "fever, febrile, feverish, pyrexia, high temperature, hot body, body hot, has fever, high fever",
        "fr": "fièvre, fébrile, fiévreux, fiévreuse, corps chaud, hyperthermie",
        "sw": "homa, joto kali, joto la mwili, mwili moto",
        "hi": "बुखार, ज्वर, ताप, bukhar, bukhaar",
        "pt": "febre, febril, corpo quente",
        "es": "fiebre, febril, calentura",
        "ar": "حمى, سخونة, حرارة عالية, ارتفاع الحرارة",
    },
    "low_temperature": {
        "en": "low temperature, hypothermia, hypothermic, low body temperature, cold to touch, body cold",
        "fr": "hypothermie, température basse, corps froid",
        "sw": "mwili baridi, joto la chini",
        "hi": "शरीर ठंडा, कम तापमान",
        "pt": "hipotermia, temperatura baixa, corpo frio",
        "es": "hipotermia, temperatura baja, cuerpo frío",
        "ar": "انخفاض الحرارة, جسم بارد",
    },
    "mucosal_involvement": {
        "en": "mucosal involvement, mucosa involved, mucosa, mucous membrane, mucous membranes, "
        "mucosal lesions, mucosal ulcers, mouth involved, mouth sores, mouth ulcers, mouth ulcer, "
        "sores in mouth, mouth involvement, oral ulcers, oral lesions, lips involved, genital involved, "
        "genital ulcer, genital ulcers, genital sores, genital involvement",
        "fr": "muqueuse, muqueuses, atteinte muqueuse, atteinte des muqueuses, aphtes, plaies dans la bouche, "
        "ulcère génital",
        "sw": "vidonda mdomoni, kidonda mdomoni, vidonda vya mdomo, vidonda sehemu za siri",
        "hi": "मुंह में छाले, मुँह में छाले, मुंह के छाले, muh me chhale",
        "pt": "mucosa, mucosas, envolvimento mucoso, feridas na boca, úlceras na boca, aftas",
        "es": "mucosa, mucosas, afectación mucosa, llagas en la boca, úlceras en la boca",
        "ar": "الغشاء المخاطي, تقرحات الفم, قرح الفم, قرحة الفم",
    },
    "eye_involvement": {
        "en": "eye involvement, eye involved, eyes involved, eye affected, eyes affected, eye swelling, "
        "swelling of eye, swollen eye, swollen eyes, red eye, eye pain, vision loss, loss of vision, "
        "vision change, blurred vision",
        "fr": "atteinte oculaire, oeil atteint, oeil gonflé, oeil rouge, perte de vision, vision trouble",
        "sw": "jicho limevimba, macho yamevimba, jicho jekundu, jicho limeathirika",
        "hi": "आँख में सूजन, आंख में सूजन, आँख लाल, आंख लाल",
        "pt": "envolvimento ocular, olho afetado, olho inchado, olho vermelho, perda de visão",
        "es": "afectación ocular, ojo afectado, ojo hinchado, ojo rojo, pérdida de visión",
        "ar": "إصابة العين, تورم العين, عين حمراء, احمرار العين",
    },
    "purpura": {
        "en": "purpura, purpuric, petechiae, petechia, petechial, non blanching, nonblanching, "
        "non blanching rash, non blanchable, does not blanch, doesn't blanch, not blanching, glass test, glass test positive, positive glass test, "
        "purple spots, ecchymosis, rash does not fade",
        "fr": "purpura, purpurique, pétéchies, ne s'efface pas, taches violettes, ecchymose, ecchymoses",
        "sw": "madoa ya damu, vidoa vya damu, madoa ya zambarau",
        "hi": "बैंगनी धब्बे, बैंगनी चकत्ते",
        "pt": "púrpura, petéquias, não desaparece à pressão, manchas roxas, equimose",
        "es": "púrpura, petequias, no desaparece a la presión, manchas moradas, equimosis",
        "ar": "فرفرية, حبرات, بقع أرجوانية, كدمات",
    },
    "necrosis": {
        "en": "necrosis, necrotic, gangrene, gangrenous, dead tissue, dead skin, black tissue, tissue death, "
        "black skin, skin turning black, dusky skin, eschar",
        "fr": "nécrose, nécrotique, gangrène, tissu mort, peau noire",
        "sw": "ngozi iliyokufa, nyama iliyokufa, kuoza, inaoza",
        "hi": "परिगलन, गैंग्रीन, सड़न, मरा हुआ ऊतक",
        "pt": "necrose, necrótico, gangrena, tecido morto",
        "es": "necrosis, necrótico, gangrena, tejido muerto",
        "ar": "نخر, تنخر, غرغرينا, أنسجة ميتة",
    },
    "blistering": {
        "en": "blistering, blister, blisters, bulla, bullae, bullous, vesicles, vesicle, vesicular, "
        "fluid filled, water filled",
        "fr": "cloque, cloques, ampoule, ampoules, bulle, bulles, vésicules, phlyctène, phlyctènes",
        "sw": "malengelenge, lengelenge",
        "hi": "छाला, छाले, फफोला, फफोले, chhale, chale, fafole",
        "pt": "bolha, bolhas, vesículas",
        "es": "ampolla, ampollas, vesículas",
        "ar": "فقاعة, فقاعات, بثور, نفطات, حويصلات",
    },
    "skin_detachment": {
        "en": "skin detachment, skin peeling, peeling skin, peeling of skin, skin coming off, "
        "skin sloughing, sloughing, epidermal detachment, skin falling off, denuded skin, "
        "nikolsky, nikolsky sign, nikolsky positive, scalded skin",
        "fr": "décollement cutané, décollement de la peau, peau qui se décolle, peau qui pèle",
        "sw": "ngozi kutoka, ngozi inatoka, ngozi kubanduka, ngozi inabanduka, kuchunika",
        "hi": "चमड़ी उतरना, त्वचा उतरना, चमड़ी निकलना, खाल उतरना",
        "pt": "descolamento da pele, pele a soltar, pele descolando, pele soltando",
        "es": "desprendimiento de la piel, despegamiento cutáneo, piel que se desprende",
        "ar": "انسلاخ الجلد, تقشر الجلد, انفصال الجلد",
    },
    "severe_pain": {
        "en": "severe pain, very painful, extreme pain, unbearable pain, intense pain, worst pain, "
        "pain out of proportion, extremely painful, strong pain, excruciating pain",
        "fr": "douleur sévère, douleur intense, douleur forte, forte douleur, douleur insupportable, "
        "très douloureux",
        "sw": "maumivu makali, maumivu makubwa, inauma sana",
        "hi": "तेज दर्द, तेज़ दर्द, बहुत दर्द, असहनीय दर्द, tez dard, bahut dard",
        "pt": "dor forte, dor intensa, dor severa, dor insuportável, muita dor",
        "es": "dolor fuerte, dolor intenso, dolor severo, dolor insoportable, mucho dolor",
        "ar": "ألم شديد, ألم حاد, ألم قوي, وجع شديد",
    },
    "spreading_infection": {
        "en": "spreading infection, infection spreading, spreading redness, redness spreading, "
        "rapidly spreading, cellulitis, spreading cellulitis, red streaks, red streak, lymphangitis, "
        "erysipelas, spreading fast",
        "fr": "infection qui s'étend, rougeur qui s'étend, cellulite, érysipèle, lymphangite",
        "sw": "maambukizi yanayosambaa, maambukizi yanasambaa, wekundu unasambaa",
        "hi": "फैलता संक्रमण, संक्रमण फैल रहा, लाली फैल रही",
        "pt": "infecção que se espalha, vermelhidão que se espalha, celulite, erisipela",
        "es": "infección que se extiende, enrojecimiento que se extiende, celulitis, erisipela",
        "ar": "عدوى منتشرة, انتشار العدوى, التهاب النسيج الخلوي, احمرار منتشر",
    },
    "facial_swelling": {
        "en": "facial swelling, swelling of face, swelling of the face, face swelling, swollen face, "
        "face swollen, lip swelling, swollen lips, swelling of lips, angioedema, angio oedema",
        "fr": "gonflement du visage, visage gonflé, oedème du visage, lèvres gonflées, angioedème",
        "sw": "uso kuvimba, uso umevimba, kuvimba uso, midomo imevimba",
        "hi": "चेहरे पर सूजन, चेहरे की सूजन, चेहरा सूजा, होंठ सूजे",
        "pt": "inchaço no rosto, rosto inchado, inchaço facial, lábios inchados, angioedema",
        "es": "hinchazón de la cara, cara hinchada, hinchazón facial, labios hinchados, angioedema",
        "ar": "تورم الوجه, انتفاخ الوجه, تورم الشفاه",
    },
    "airway_swelling": {
        "en": "airway swelling, swollen tongue, tongue swelling, swelling of tongue, throat swelling, "
        "swollen throat, swelling of throat, throat closing, throat tightness, stridor, noisy breathing, "
        "hoarse voice, muffled voice, airway, airway problem, airway obstruction",
        "fr": "langue gonflée, gonflement de la langue, gorge gonflée, gorge serrée, stridor, voix rauque",
        "sw": "ulimi umevimba, ulimi kuvimba, koo limevimba, koo kuvimba",
        "hi": "जीभ में सूजन, गले में सूजन, गला बंद",
        "pt": "língua inchada, garganta inchada, garganta fechando, estridor, voz rouca",
        "es": "lengua hinchada, garganta hinchada, garganta cerrada, estridor, voz ronca",
        "ar": "تورم اللسان, تورم الحلق, صرير, بحة الصوت",
    },
    "breathing_difficulty": {
        "en": "breathing difficulty, breathing problem, breathing problems, breathing trouble, problem breathing, difficulty breathing, difficult breathing, difficulty in breathing, "
        "trouble breathing, breathlessness, breathless, shortness of breath, short of breath, sob, dyspnoea, "
        "dyspnea, respiratory distress, cannot breathe, can't breathe, fast breathing, rapid breathing, "
        "chest indrawing, laboured breathing, labored breathing, gasping, cyanosis, "
        "blue lips",
        "fr": "difficulté respiratoire, difficulté à respirer, difficultés respiratoires, essoufflement, "
        "essoufflé, dyspnée, respire mal, détresse respiratoire, respiration rapide",
        "sw": "kupumua kwa shida, shida ya kupumua, anapumua kwa shida, kushindwa kupumua, kuhema",
        "hi": "साँस लेने में तकलीफ, सांस लेने में तकलीफ, सांस फूलना, साँस फूलना, सांस की तकलीफ, "
        "saans lene me taklif, saans phoolna",
        "pt": "dificuldade para respirar, dificuldade respiratória, dificuldade em respirar, falta de ar, "
        "dispneia",
        "es": "dificultad para respirar, dificultad respiratoria, falta de aire, disnea, le cuesta respirar",
        "ar": "صعوبة التنفس, صعوبة في التنفس, ضيق التنفس, ضيق تنفس, ضيق النفس",
    },
    "shock": {
        "en": "shock, in shock, signs of shock, circulatory collapse, collapse, collapsed, cold hands, "
        "cold hands and feet, cold extremities, weak pulse, weak fast pulse, weak and fast pulse, "
        "fast weak pulse, slow capillary refill, capillary refill over 3, prolonged capillary refill, "
        "cold clammy skin, mottled skin",
        "fr": "choc, état de choc, collapsus, extrémités froides, mains froides, pouls faible",
        "sw": "mshtuko, mikono baridi, mapigo dhaifu",
        "hi": "सदमा, शॉक, हाथ ठंडे, हाथ पैर ठंडे, कमजोर नाड़ी",
        "pt": "choque, estado de choque, colapso, extremidades frias, mãos frias, pulso fraco",
        "es": "estado de choque, choque, colapso, extremidades frías, manos frías, pulso débil",
        "ar": "صدمة, برودة الأطراف, نبض ضعيف, هبوط",
    },
    "altered_consciousness": {
        "en": "altered consciousness, unconscious, unconsciousness, loss of consciousness, unresponsive, "
        "coma, lethargic, lethargy, very sleepy, drowsy, drowsiness, confused, confusion, delirium, "
        "altered mental status, hard to wake, difficult to wake, not alert, floppy, limp, fainted, fainting",
        "fr": "inconscient, inconsciente, perte de connaissance, léthargique, léthargie, somnolent, "
        "somnolence, confus, confusion, coma, troubles de la conscience",
        "sw": "kupoteza fahamu, amepoteza fahamu, hana fahamu, amezimia, kuzimia, kuchanganyikiwa, legevu",
        "hi": "बेहोश, बेहोशी, सुस्त, सुस्ती, होश नहीं, भ्रम, behosh, behoshi",
        "pt": "inconsciente, perda de consciência, letárgico, letargia, sonolento, sonolência, confuso, "
        "confusão, coma, desmaio",
        "es": "inconsciente, pérdida de conciencia, letárgico, letargia, somnoliento, somnolencia, confuso, "
        "confusión, coma, desmayo",
        "ar": "فقدان الوعي, فاقد الوعي, غيبوبة, إغماء, خمول, تشوش, ارتباك, نعاس شديد",
    },
    "convulsions": {
        "en": "convulsions, convulsion, convulsing, seizure, seizures, fits, fitting",
        "fr": "convulsions, convulsion, crise convulsive, épilepsie en crise",
        "sw": "degedege, kifafa, mtukutiko",
        "hi": "दौरे, दौरा, मिर्गी, झटके, daura, daure",
        "pt": "convulsões, convulsão, crise convulsiva",
        "es": "convulsiones, convulsión, crisis convulsiva",
        "ar": "تشنج, تشنجات, اختلاج, نوبة صرع",
    },
    "unable_to_drink": {
        "en": "unable to drink, unable to feed, not drinking, not feeding, not feeding well, poor feeding, "
        "unable to breastfeed, not breastfeeding, cannot drink, can't drink, unable to eat or drink, "
        "unable to drink or breastfeed, not able to drink, not able to drink or breastfeed, "
        "not able to feed, unable to swallow, vomits everything, vomiting everything, stopped feeding, "
        "stopped feeding well, refuses to feed, refuses breast",
        "fr": "incapable de boire, ne peut pas boire, ne boit pas, ne tète pas, incapable de téter, "
        "incapable de boire ou de téter, vomit tout",
        "sw": "hawezi kunywa, hanyonyi, hawezi kunyonya, hawezi kula, anatapika kila kitu",
        "hi": "पी नहीं सकता, दूध नहीं पी रहा, पी नहीं पा रहा, सब उल्टी कर देता",
        "pt": "incapaz de beber, não consegue beber, não mama, não consegue mamar, vomita tudo",
        "es": "incapaz de beber, no puede beber, no bebe, no mama, no puede mamar, vomita todo",
        "ar": "لا يستطيع الشرب, لا يشرب, لا يرضع, غير قادر على الشرب, يتقيأ كل شيء",
    },
    "neck_stiffness": {
        "en": "neck stiffness, stiff neck, neck rigidity, bulging fontanelle, bulging fontanel, photophobia, "
        "meningism",
        "fr": "raideur de la nuque, nuque raide, raideur de nuque, fontanelle bombée, photophobie",
        "sw": "shingo ngumu, kukakamaa shingo, shingo kukakamaa",
        "hi": "गर्दन अकड़ना, गर्दन में अकड़न",
        "pt": "rigidez da nuca, rigidez de nuca, pescoço rígido, fontanela abaulada",
        "es": "rigidez de nuca, cuello rígido, fontanela abombada",
        "ar": "تيبس الرقبة, تصلب الرقبة, تيبس العنق",
    },
    "crepitus": {
        "en": "crepitus, crepitation, crackling skin, gas in tissue, gas under skin, gas gangrene, "
        "subcutaneous gas, skin crackles",
        "fr": "crépitation, crépitations, gaz sous la peau, gangrène gazeuse",
        "pt": "crepitação, gás sob a pele, gangrena gasosa",
        "es": "crepitación, crepitantes, gas bajo la piel, gangrena gaseosa",
        "ar": "فرقعة تحت الجلد, غاز تحت الجلد",
    },
    "non_healing_ulcer": {
        "en": "non healing ulcer, nonhealing ulcer, ulcer not healing, non healing wound, non healing sore, "
        "wound not healing, sore not healing, chronic ulcer, does not heal, not healing, non healing",
        "fr": "ulcère qui ne guérit pas, plaie qui ne guérit pas, ulcère chronique, ne guérit pas",
        "sw": "kidonda kisichopona, kidonda hakiponi, kidonda sugu",
        "hi": "न भरने वाला घाव, घाव नहीं भर रहा, ना भरने वाला घाव",
        "pt": "úlcera que não cicatriza, ferida que não cicatriza, ferida que não sara, úlcera crónica",
        "es": "úlcera que no cicatriza, herida que no cicatriza, herida que no sana, úlcera crónica",
        "ar": "قرحة لا تلتئم, جرح لا يلتئم, قرحة مزمنة",
    },
    "suspicious_pigmented_lesion": {
        "en": "suspicious pigmented lesion, suspicious mole, suspicious lesion, suspected melanoma, melanoma, "
        "changing mole, suspicious for melanoma, ugly duckling",
        "fr": "grain de beauté suspect, lésion pigmentée suspecte, mélanome, mélanome suspecté",
        "hi": "मेलेनोमा",
        "pt": "lesão pigmentada suspeita, pinta suspeita, melanoma",
        "es": "lesión pigmentada sospechosa, lunar sospechoso, melanoma",
        "ar": "شامة مشبوهة, ميلانوما",
    },
}

#: Signs that only add to others: rules ask for them together with a site, an age or a duration.
OTHERS: Table = {
    "pus": {
        "en": "pus, purulent, suppuration, abscess, infected, infection, pustules, pustule, weeping",
        "fr": "pus, purulent, purulente, abcès, infecté, infectée, infection, pustules",
        "sw": "usaha, jipu, maambukizi",
        "hi": "मवाद, पीप, पस, संक्रमण, फोड़ा, mawad",
        "pt": "pus, purulento, abscesso, infectado, infecção, pústulas",
        "es": "pus, purulento, absceso, infectado, infección, pústulas",
        "ar": "قيح, صديد, خراج, عدوى",
    },
    "spreading": {
        "en": "spreading, spread, spreads, is spreading",
        "fr": "s'étend, s'étale, étendue, propagation",
        "sw": "kusambaa, inasambaa, kuenea, inaenea",
        "hi": "फैल रहा, फैलना, फैलाव, फैल रही",
        "pt": "espalhando, espalha, se espalha",
        "es": "extendiéndose, se extiende, propagación",
        "ar": "ينتشر, تنتشر, انتشار",
    },
    "discharge": {
        "en": "discharge, oozing, discharging",
        "fr": "écoulement, suintement, suintant",
        "sw": "kutoa maji, kutokwa maji",
        "hi": "स्राव, रिसाव",
        "pt": "secreção, corrimento",
        "es": "secreción, supuración",
        "ar": "إفرازات, افراز",
    },
    "chills": {
        "en": "chills, rigors, shivering, rigor",
        "fr": "frissons",
        "sw": "baridi kali, kutetemeka",
        "hi": "ठंड लगना, कंपकंपी",
        "pt": "calafrios",
        "es": "escalofríos",
        "ar": "قشعريرة, رعشة",
    },
    "painful": {
        "en": "painful, hurts, hurting, sore, tender, tenderness, burning",
        "fr": "douloureux, douloureuse, fait mal",
        "sw": "inauma, anaumwa, yenye maumivu",
        "hi": "दर्दनाक, दुखता, दुख रहा",
        "pt": "doloroso, dolorosa, dói",
        "es": "doloroso, dolorosa, duele",
        "ar": "مؤلم, مؤلمة, يؤلم",
    },
    "swelling": {
        "en": "swelling, swollen, swells, oedema, edema",
        "fr": "gonflement, gonflé, gonflée, enflé, enflure, oedème",
        "sw": "kuvimba, uvimbe, imevimba, amevimba",
        "hi": "सूजन, सूजा, soojan, sujan",
        "pt": "inchaço, inchado, inchada, edema",
        "es": "hinchazón, hinchado, hinchada, edema",
        "ar": "تورم, انتفاخ, ورم, وذمة",
    },
    "ulcer": {
        "en": "ulcer, ulcers, ulcerated, ulceration, open sore, open wound, sores, wound",
        "fr": "ulcère, ulcères, ulcéré, ulcération, plaie, plaie ouverte",
        "sw": "kidonda, vidonda, donda, jeraha",
        "hi": "घाव, अल्सर, व्रण, नासूर, ghav",
        "pt": "úlcera, úlceras, ulcerado, ulceração, ferida, ferida aberta",
        "es": "úlcera, úlceras, ulcerado, ulceración, herida, herida abierta, llaga",
        "ar": "قرحة, تقرح, قرح, تقرحات, جرح مفتوح",
    },
    "erosion": {
        "en": "erosion, erosions, eroded",
        "fr": "érosion",
        "pt": "erosão",
        "es": "erosión",
    },
    "asymmetry": {
        "en": "asymmetry, asymmetric, asymmetrical",
        "fr": "asymétrie, asymétrique",
        "pt": "assimetria",
        "es": "asimetría",
        "ar": "عدم تماثل",
    },
    "border": {
        "en": "border irregular, irregular border, irregular borders, irregular edge, irregular edges",
        "fr": "bord irrégulier, bords irréguliers",
        "pt": "borda irregular, bordas irregulares",
        "es": "borde irregular, bordes irregulares",
        "ar": "حواف غير منتظمة",
    },
    "colour": {
        "en": "colour change, color change, change of colour, change in colour, change in color, "
        "changed colour, changed color, several colours, multiple colours, multiple colors",
        "fr": "changement de couleur, plusieurs couleurs",
        "pt": "mudança de cor, várias cores",
        "es": "cambio de color, varios colores",
        "ar": "تغير اللون",
    },
    "evolution": {
        "en": "evolution, change over time, growing, changing, evolving, enlarging, getting bigger, bigger",
        "fr": "évolution, grossit, grandit, change, changement",
        "sw": "inakua, inabadilika, kukua",
        "hi": "बढ़ रहा, बदल रहा, बढ़ना",
        "pt": "evolução, crescendo, mudando, cresce",
        "es": "evolución, creciendo, cambiando, crece",
        "ar": "تطور, ينمو, يكبر, يتغير",
    },
    "pregnancy": {
        "en": "pregnancy, pregnant, currently pregnant, gravid",
        "fr": "grossesse, enceinte",
        "sw": "mjamzito, ujauzito, mimba",
        "hi": "गर्भवती, गर्भावस्था, garbhvati",
        "pt": "gravidez, grávida, gestante",
        "es": "embarazo, embarazada",
        "ar": "حمل, حامل, الحمل",
    },
    "immunosuppressed": {
        "en": "immunosuppressed, immunosuppression, immunocompromised, immune deficiency, hiv positive, hiv, "
        "hiv status, aids, on chemotherapy, chemotherapy, transplant, plhiv",
        "fr": "immunodéprimé, immunodéprimée, immunodépression, vih, vih positif, séropositif, sida",
        "sw": "vvu, ukimwi, ana vvu, kinga dhaifu",
        "hi": "एचआईवी, एड्स, कमजोर प्रतिरक्षा",
        "pt": "imunossuprimido, imunodeprimido, vih, hiv positivo, sida",
        "es": "inmunosuprimido, inmunodeprimido, vih, vih positivo, sida",
        "ar": "نقص المناعة, فيروس نقص المناعة, ضعف المناعة, إيدز",
    },
    "infant": {"en": "infant, is infant", "fr": "nourrisson", "es": "lactante", "ar": "رضيع"},
    "young_infant": {
        "en": "young infant, newborn, neonate, neonatal",
        "fr": "nouveau né",
        "sw": "mtoto mchanga",
        "hi": "नवजात",
        "pt": "recém nascido",
        "es": "recién nacido",
        "ar": "حديث الولادة, مولود جديد",
    },
}

#: Questions that ask for the opposite of a red flag: no is the flag.
OPPOSITES: Table = {
    "purpura": {
        "en": "blanch, blanches, blanching, blanchable, fades, rash blanches, rash fades",
        "fr": "s'efface à la pression",
        "pt": "desaparece à pressão",
        "es": "desaparece a la presión",
    },
    "unable_to_drink": {
        "en": "able to drink, able to feed, able to breastfeed, able to drink or breastfeed, can drink, "
        "can breastfeed, feeding well, drinking well, breastfeeding well, eating and drinking",
        "fr": "peut boire, capable de boire, tète bien, capable de boire ou de téter",
        "sw": "anaweza kunywa, ananyonya vizuri, anaweza kunyonya",
        "pt": "consegue beber, mama bem, capaz de beber",
        "es": "puede beber, mama bien, capaz de beber",
        "ar": "يستطيع الشرب, يرضع جيدا",
    },
    "altered_consciousness": {
        "en": "conscious, alert, awake, fully conscious, fully alert, is alert, oriented",
        "fr": "conscient, consciente, éveillé",
        "sw": "ana fahamu",
        "hi": "होश में",
        "pt": "consciente, alerta",
        "es": "consciente, alerta",
        "ar": "واعي, واعية",
    },
    "breathing_difficulty": {
        "en": "breathing normally, breathing normal, normal breathing, breathing well",
        "fr": "respire normalement, respire bien",
        "sw": "anapumua vizuri",
        "pt": "respira bem",
        "es": "respira bien",
        "ar": "يتنفس بشكل طبيعي",
    },
}

#: Questions whose answer is a number, a time, a place, a colour or a list.
QUESTIONS: Table = {
    "temperature": {
        "en": "temperature, temp, body temperature, body temp, axillary temperature, axillary temp, "
        "oral temperature, rectal temperature, tympanic temperature, ear temperature, forehead temperature, "
        "temperature reading, measured temperature, temperature value, tmax, max temperature, temp axillary",
        "fr": "température, température corporelle",
        "sw": "joto, halijoto, kipimo cha joto",
        "hi": "तापमान, tapman",
        "pt": "temperatura, temperatura corporal",
        "es": "temperatura, temperatura corporal",
        "ar": "درجة الحرارة, حرارة, الحرارة",
    },
    "pain": {
        "en": "pain, pain score, pain severity, pain level, pain scale, pain intensity, pain rating, vas, nrs, "
        "pain vas, ache",
        "fr": "douleur, score de douleur, niveau de douleur, intensité de la douleur, échelle de douleur",
        "sw": "maumivu, kiwango cha maumivu",
        "hi": "दर्द, दर्द का स्तर, dard",
        "pt": "dor, nível de dor, escala de dor, intensidade da dor",
        "es": "dolor, nivel de dolor, escala de dolor, intensidad del dolor",
        "ar": "ألم, الألم, شدة الألم, مستوى الألم, وجع",
    },
    "growth": {
        "en": "growth, grew, growth rate, growth speed, speed of growth, rate of growth",
        "fr": "croissance, vitesse de croissance",
        "pt": "crescimento",
        "es": "crecimiento",
        "ar": "نمو",
    },
    "diameter": {
        "en": "diameter, size, lesion size, lesion diameter, largest diameter, width, length",
        "fr": "diamètre, taille",
        "sw": "ukubwa, kipenyo",
        "hi": "आकार, व्यास",
        "pt": "diâmetro, tamanho",
        "es": "diámetro, tamaño",
        "ar": "قطر, حجم, القطر, الحجم",
    },
    "duration": {
        "en": "duration, how long, since when, since, onset, started, started ago, start, start date, "
        "onset date, date of onset, time since onset, since onset, symptom duration, when started, "
        "when did it start, first noticed, how long ago, illness duration, age of lesion, length of illness",
        "fr": "durée, depuis, depuis quand, depuis combien de temps, date de début, début",
        "sw": "muda, muda gani, tangu lini, imeanza lini",
        "hi": "अवधि, कब से, कितने समय से, कितने दिन से, avadhi, kab se",
        "pt": "duração, há quanto tempo, desde quando, data de início, início",
        "es": "duración, cuánto tiempo, desde cuándo, hace cuánto, fecha de inicio, inicio",
        "ar": "المدة, مدة, منذ متى, تاريخ البدء",
    },
    "age": {
        "en": "age, patient age, child age, age of patient, age of child",
        "fr": "âge",
        "sw": "umri",
        "hi": "उम्र, आयु, umar, umr",
        "pt": "idade",
        "es": "edad",
        "ar": "العمر, عمر, السن",
    },
    "birth_date": {
        "en": "birth date, birthdate, date of birth, dob, birthday, born, birth day, year of birth, birth year",
        "fr": "date de naissance, né le, naissance",
        "sw": "tarehe ya kuzaliwa",
        "hi": "जन्म तिथि, जन्मतिथि, जन्म",
        "pt": "data de nascimento, nascimento",
        "es": "fecha de nacimiento, nacimiento",
        "ar": "تاريخ الميلاد, تاريخ الولادة",
    },
    "site": {
        "en": "site, sites, body site, body sites, lesion site, anatomical site, body part, body parts, "
        "body location, lesion location, location on body, where on body, affected area, area affected, "
        "affected site, body area",
        "fr": "localisation, siège, partie du corps, zone atteinte",
        "sw": "sehemu, sehemu ya mwili, mahali",
        "hi": "स्थान, शरीर का भाग, जगह",
        "pt": "local, localização, parte do corpo, sítio",
        "es": "sitio, localización, ubicación, parte del cuerpo, zona",
        "ar": "الموقع, موقع, مكان, جزء الجسم",
    },
    "colours": {
        "en": "colour, color, colours, colors, lesion colour, lesion color",
        "fr": "couleur, couleurs",
        "sw": "rangi",
        "hi": "रंग",
        "pt": "cor, cores",
        "es": "color, colores",
        "ar": "اللون, لون",
    },
    "symptoms": {
        "en": "symptoms, symptom, signs, sign, signs and symptoms, symptoms and signs, other symptoms, "
        "associated symptoms, presenting symptoms, symptom list, which symptoms, systemic symptoms",
        "fr": "symptômes, symptôme, signes",
        "sw": "dalili",
        "hi": "लक्षण, lakshan",
        "pt": "sintomas, sintoma, sinais",
        "es": "síntomas, síntoma, signos",
        "ar": "أعراض, الأعراض, عرض, علامات",
    },
    "red_flags": {
        "en": "red flags, red flag, danger signs, danger sign, warning signs, warning sign, emergency signs, "
        "alarm signs, alarm symptoms, general danger signs, any danger sign, any danger signs",
        "fr": "signes de danger, signe de danger, signes d'alarme, drapeaux rouges",
        "sw": "dalili za hatari, dalili ya hatari",
        "hi": "खतरे के संकेत, खतरे के लक्षण, ख़तरे के लक्षण",
        "pt": "sinais de perigo, sinal de perigo, sinais de alerta, sinais de alarme",
        "es": "signos de peligro, signo de peligro, señales de peligro, signos de alarma, banderas rojas",
        "ar": "علامات الخطر, علامات الخطورة, علامة خطر",
    },
}

#: Places where pain, swelling, blisters or an ulcer are red by themselves, and colours that are dark.
PLACES: Table = {
    "eye": {
        "en": "eye, eyes, eyelid, eyelids, periorbital, orbit, orbital, conjunctiva, cornea",
        "fr": "oeil, œil, yeux, paupière, paupières, orbite",
        "sw": "jicho, macho, kope",
        "hi": "आँख, आंख, आँखें, आंखें, पलक, aankh",
        "pt": "olho, olhos, pálpebra",
        "es": "ojo, ojos, párpado",
        "ar": "عين, العين, عيون, جفن, الجفن",
    },
    "mucosa": {
        "en": "mouth, lip, lips, tongue, genital, genitals, vulva, penis, oral, vagina, scrotum, anus, gums, "
        "palate, throat, mucosa, private parts",
        "fr": "bouche, lèvre, lèvres, langue, génital, génitaux, vulve, pénis, gencives, gorge",
        "sw": "mdomo, midomo, ulimi, sehemu za siri, uume, uke, kinywa, fizi",
        "hi": "मुंह, मुँह, होंठ, जीभ, जननांग, गुप्तांग, muh, hoth",
        "pt": "boca, lábio, lábios, língua, genital, genitais, vulva, pênis, pénis, gengiva",
        "es": "boca, labio, labios, lengua, genital, genitales, vulva, pene, encías",
        "ar": "فم, الفم, شفة, شفاه, لسان, اللسان, الأعضاء التناسلية, لثة",
    },
    "dark": {
        "en": "black, brown, blue, dark, blackish, bluish, brownish",
        "fr": "noir, noire, brun, brune, bleu, bleue, marron, foncé",
        "sw": "nyeusi, kahawia, bluu, buluu",
        "hi": "काला, काली, भूरा, भूरी, नीला, नीली, kala, bhura",
        "pt": "preto, preta, negro, castanho, marrom, azul, escuro",
        "es": "negro, negra, marrón, café, azul, oscuro",
        "ar": "أسود, سوداء, بني, بنية, أزرق, زرقاء, داكن",
    },
}

#: Units. Times count in days; `two …` are Arabic duals, which hold their own number.
UNITS: Table = {
    "hour": {
        "en": "hour, hours, hr, hrs, h, minute, minutes, min, mins",
        "fr": "heure, heures",
        "sw": "saa, masaa, dakika",
        "hi": "घंटा, घंटे, ghante",
        "pt": "hora, horas",
        "es": "hora, horas",
        "ar": "ساعة, ساعات",
    },
    "day": {
        "en": "day, days, d, dy, dys",
        "fr": "jour, jours, j, jrs",
        "sw": "siku",
        "hi": "दिन, दिनों, din",
        "pt": "dia, dias",
        "es": "día, días",
        "ar": "يوم, أيام, يوما, ايام",
    },
    "week": {
        "en": "week, weeks, w, wk, wks",
        "fr": "semaine, semaines, sem, sems",
        "sw": "wiki, juma, majuma",
        "hi": "हफ्ता, हफ़्ता, हफ्ते, हफ़्ते, हफ्तों, सप्ताह, hafta, hafte, saptah",
        "pt": "semana, semanas",
        "es": "semana, semanas",
        "ar": "أسبوع, أسابيع, اسبوعا",
    },
    "month": {
        "en": "month, months, m, mo, mos, mth, mths, mnth",
        "fr": "mois",
        "sw": "mwezi, miezi",
        "hi": "महीना, महीने, महीनों, माह, मास, mahina, mahine",
        "pt": "mês, meses",
        "es": "mes, meses",
        "ar": "شهر, أشهر, شهور, شهرا",
    },
    "year": {
        "en": "year, years, y, yr, yrs, yo, y o, years old",
        "fr": "an, ans, année, années",
        "sw": "mwaka, miaka",
        "hi": "साल, वर्ष, सालों, बरस, saal, varsh",
        "pt": "ano, anos",
        "es": "año, años",
        "ar": "سنة, سنوات, سنين, عام, أعوام",
    },
    "two days": {"ar": "يومين, يومان"},
    "two weeks": {"ar": "أسبوعين, أسبوعان", "en": "fortnight", "fr": "quinzaine"},
    "two months": {"ar": "شهرين, شهران"},
    "two years": {"ar": "سنتين, سنتان, عامين, عامان"},
    "c": {
        "xx": "c, °c, ° c, celsius, centigrade, deg c, degc, degree celsius, degrees celsius, cel, degres"
    },
    "f": {
        "xx": "f, °f, ° f, fahrenheit, deg f, degf, degree fahrenheit, degrees fahrenheit, degree f"
    },
    "k": {"xx": "k, kelvin"},
    "mm": {"xx": "mm, millimetre, millimetres, millimeter, millimeters, milimetros, مم, मिमी"},
    "cm": {"xx": "cm, cms, centimetre, centimetres, centimeter, centimeters, centimetros, سم, सेमी"},
    "in": {"xx": "inch, inches"},
}

#: Numbers in words, for ages and durations.
NUMBERS: Table = {
    "0.5": {
        "en": "half, half a",
        "fr": "demi",
        "sw": "nusu",
        "hi": "आधा",
        "pt": "meio",
        "es": "medio",
        "ar": "نصف",
    },
    "1": {
        "en": "one, a, an",
        "fr": "un, une",
        "sw": "moja, mmoja",
        "hi": "एक, ek",
        "pt": "um, uma",
        "es": "uno, una",
        "ar": "واحد, واحدة",
    },
    "2": {
        "en": "two, couple, a couple of, couple of",
        "fr": "deux",
        "sw": "mbili, miwili, mawili",
        "hi": "दो, do",
        "pt": "dois, duas",
        "es": "dos",
        "ar": "اثنان, اثنين",
    },
    "3": {
        "en": "three",
        "fr": "trois",
        "sw": "tatu, mitatu, matatu",
        "hi": "तीन, teen, tin",
        "pt": "três",
        "es": "tres",
        "ar": "ثلاث, ثلاثة",
    },
    "4": {
        "en": "four",
        "fr": "quatre",
        "sw": "nne, minne",
        "hi": "चार, char, chaar",
        "pt": "quatro",
        "es": "cuatro",
        "ar": "أربع, أربعة",
    },
    "5": {
        "en": "five",
        "fr": "cinq",
        "sw": "tano, mitano, matano",
        "hi": "पांच, पाँच, paanch",
        "pt": "cinco",
        "es": "cinco",
        "ar": "خمس, خمسة",
    },
    "6": {
        "en": "six",
        "fr": "six",
        "sw": "sita",
        "hi": "छह, छः, छे, chhe",
        "pt": "seis",
        "es": "seis",
        "ar": "ست, ستة",
    },
    "7": {
        "en": "seven",
        "fr": "sept",
        "sw": "saba",
        "hi": "सात, saat",
        "pt": "sete",
        "es": "siete",
        "ar": "سبع, سبعة",
    },
    "8": {
        "en": "eight",
        "fr": "huit",
        "sw": "nane, minane",
        "hi": "आठ, aath",
        "pt": "oito",
        "es": "ocho",
        "ar": "ثمان, ثمانية, ثماني",
    },
    "9": {
        "en": "nine",
        "fr": "neuf",
        "sw": "tisa",
        "hi": "नौ, nau",
        "pt": "nove",
        "es": "nueve",
        "ar": "تسع, تسعة",
    },
    "10": {
        "en": "ten",
        "fr": "dix",
        "sw": "kumi",
        "hi": "दस, das",
        "pt": "dez",
        "es": "diez",
        "ar": "عشر, عشرة",
    },
    "11": {
        "en": "eleven",
        "fr": "onze",
        "sw": "kumi na moja",
        "hi": "ग्यारह",
        "pt": "onze",
        "es": "once",
        "ar": "أحد عشر",
    },
    "12": {
        "en": "twelve",
        "fr": "douze",
        "sw": "kumi na mbili",
        "hi": "बारह",
        "pt": "doze",
        "es": "doce",
        "ar": "اثنا عشر",
    },
}

#: How times are said without a number.
TIMES: Table = {
    # An upper bound: "less than …".
    "less": {
        "en": "less than, less, under, below, up to, within, not more than, at most, fewer than, younger than",
        "fr": "moins de, moins d, moins, en dessous de",
        "sw": "chini ya, pungufu ya",
        "hi": "से कम, कम",
        "pt": "menos de, menos, abaixo de",
        "es": "menos de, menos",
        "ar": "أقل من, اقل",
        "xx": "<, <=, ≤",
    },
    # As old as anything a rule asks for.
    "long": {
        "en": "chronic, always, long, long time, a long time, very long, since birth, from birth, since childhood, "
        "long standing, longstanding, for ever, many months, many years, several months, several years, months, "
        "years, congenital, all my life",
        "fr": "chronique, longtemps, depuis longtemps, toujours, depuis la naissance, des mois, des années, "
        "plusieurs mois, plusieurs années",
        "sw": "muda mrefu, siku nyingi sana, tangu kuzaliwa, miezi mingi, miaka mingi, sugu",
        "hi": "लंबे समय से, बहुत समय से, जन्म से, पुराना, कई महीने, कई महीनों से, कई साल, बचपन से",
        "pt": "crônico, crónico, muito tempo, há muito tempo, desde o nascimento, sempre, vários meses, meses, anos",
        "es": "crónico, mucho tiempo, hace mucho, desde el nacimiento, siempre, varios meses, meses, "
        "años, desde nacimiento",
        "ar": "مزمن, منذ زمن, منذ زمن طويل, فترة طويلة, منذ الولادة, دائما, أشهر, شهور, سنوات, سنين",
    },
    # A day or two.
    "short": {
        "en": "today, yesterday, last night, this morning, this afternoon, tonight, just now, now, days, "
        "a few days, few days, several days, some days, hours, a few hours, sudden, suddenly, acute",
        "fr": "aujourd'hui, hier, ce matin, cette nuit, quelques jours, avant hier, soudain",
        "sw": "leo, jana, juzi, siku chache, asubuhi hii, ghafla",
        "hi": "आज, कल, परसों, कुछ दिन, कुछ दिनों से, अभी, aaj, kal, अचानक",
        "pt": "hoje, ontem, esta manhã, alguns dias, poucos dias, anteontem, súbito",
        "es": "hoy, ayer, esta mañana, unos días, pocos días, anteayer, algunos días, súbito",
        "ar": "اليوم, أمس, البارحة, هذا الصباح, بضعة أيام, عدة أيام, فجأة",
    },
    # Ages in words: under two months, and under a year.
    "newborn": {
        "en": "newborn, new born, neonate, neonatal, just born",
        "fr": "nouveau né, nouveau née",
        "sw": "mtoto mchanga, kichanga",
        "hi": "नवजात, navjat",
        "pt": "recém nascido, recém nascida",
        "es": "recién nacido, recién nacida",
        "ar": "حديث الولادة, مولود جديد",
    },
    "baby": {
        "en": "baby, infant, under one, under 1, less than one year, less than 1 year, under one year, under 1 year",
        "fr": "bébé, nourrisson, moins d'un an",
        "sw": "mtoto mdogo, chini ya mwaka",
        "hi": "शिशु, shishu",
        "pt": "bebê, bebé, lactente, menos de um ano",
        "es": "bebé, lactante, menos de un año",
        "ar": "رضيع, رضيعة, أقل من سنة",
    },
}

#: How fast something grows.
SPEEDS: Table = {
    "fast": {
        "en": "rapid, rapidly, fast, quick, quickly, explosive",
        "fr": "rapide, rapidement, vite",
        "sw": "haraka, kasi",
        "hi": "तेज, तेज़, तेजी, तेज़ी, जल्दी, tez, tezi",
        "pt": "rápido, rápida, rapidamente",
        "es": "rápido, rápida, rápidamente",
        "ar": "سريع, سريعة, سريعا, بسرعة",
    },
    "slow": {
        "en": "slow, slowly, gradual, gradually, steady, stable",
        "fr": "lent, lente, lentement, progressif, stable",
        "sw": "polepole, taratibu",
        "hi": "धीमा, धीरे, dheere",
        "pt": "lento, lenta, lentamente, estável",
        "es": "lento, lenta, lentamente, estable",
        "ar": "بطيء, بطيئة, ببطء",
    },
}

#: Words that say yes or no only when they are the whole answer: in a sentence they are articles or "and"
#: of another language ("homa na damu" is fever and blood, "la hemorragia" the bleeding).
ALONE = "n, na, la, f, off, ne, ni, nai, t, a, o, e, y, si"

#: Words that change nothing in an answer either.
FILLERS = (
    "at all, so far, yet, known, evidence, problem, problems, anything, else, apparent, obvious, sir, madam, doctor, "
    "please, option, choice, code, growth, danger, signe, signes, señal, señales, sinal, sinais, dalili, alama"
)
#: Words of a key that change nothing of what it asks: `has_bleeding`, `q3_bleeding_now`, `is_there_fever`.
KEY_FILLERS = (
    "a an the is are was were be been has have had having do does did any there present presence patient child "
    "client mother baby person currently current now today yn yesno bool flag answer value result status check "
    "q question item field q1 q2 s sx sign signs symptom symptoms danger exam examination finding findings "
    "lesion lesions wound rash skin area mole naevus nevus spot mark patch lump list observed noted seen reported visible in on of from at with for you "
    "your he she it they their his her le la les de du des un une el los las del o os as da do das na ya wa "
    "group grp section obs observation new active ongoing who whose which select other"
)
#: Words of a key that say it asks for something else: `bleeding_duration`, `family_history_of_melanoma`.
KEY_OTHER = (
    "history family relative duration days weeks months years hours since when date onset time count number "
    "how type kind cause reason treatment treated medicine drug note notes comment comments remark photo image "
    "picture id unit units where location site colour color previous past before ago earlier test advice "
    "message hint label instruction plan follow followup referral"
)
