"""What a patient wants, by words alone: for short sentences, and for all of them when no model answers.

Rows are written as in `danger_words.py`; the first intent that has one in a text counts. "I did not
take it" is looked for before "I took it". `DRUG` stands for the name of a medicine of the plan.
"""

from __future__ import annotations

from shared.products.medmind.voice_tables import HELP, NEXT, SKIPPED, TAKEN

#: Whole utterances that are a yes or a no.
YES_WORDS = (
    *(
        "yes",
        "yes i did",
        "yes i took it",
        "yeah",
        "yep",
        "ok",
        "okay",
        "correct",
        "oui",
        "oui je l'ai pris",
    ),
    *(
        "да",
        "да принял",
        "да приняла",
        "نعم",
        "ايوه",
        "اجل",
        "हां",
        "हाँ",
        "जी",
        "जी हां",
        "haan",
        "ndiyo",
        "ndio",
    ),
)
NO_WORDS = (
    *(
        "no",
        "no i did not",
        "no i didn't",
        "nope",
        "not yet",
        "non",
        "pas encore",
        "нет",
        "еще нет",
    ),
    *("لا", "كلا", "ليس بعد", "नहीं", "अभी नहीं", "nahi", "nahin", "hapana", "la", "bado"),
)

ROWS: tuple[tuple[str, str], ...] = (
    # en
    (HELP, "call/tell/ask/get my/the daughter/son/wife/husband/caregiver"),
    (HELP, "call/tell/ask/get my/the carer/nurse/family/someone/somebody"),
    (HELP, "need/want help"),
    (HELP, "help me"),
    (SKIPPED, "not/didn't/don't/won't take/took/taken/taking/had/swallow*"),
    (SKIPPED, "never/haven't/wont/didnt take/took/taken/taking/had/swallow*"),
    (SKIPPED, "skip*/missed/forgot/forgotten pill*/tablet*/medicine*/medication*/DRUG"),
    (SKIPPED, "skip*/missed/forgot/forgotten dose*/it/drops/take"),
    (TAKEN, "took/taken/swallowed/had/take/taking pill*/tablet*/medicine*/medication*/DRUG"),
    (TAKEN, "took/taken/swallowed/had/take/taking dose*/it/drops/them/insulin"),
    (NEXT, "what's/what/when/which next"),
    (NEXT, "what do/should/must i take now/today/next"),
    # fr
    (HELP, "appel*/previen*/dis/dites fille/fils/femme/mari/aidant*/infirmier*/famille/quelqu'un"),
    (HELP, "besoin d'aide/aide"),
    (SKIPPED, "pas/jamais/oublie pris/prendre/prends/prise/medicament*/comprime*/cachet*/pilule*/DRUG"),
    (SKIPPED, "saute prise/medicament*/comprime*/cachet*/DRUG"),
    (TAKEN, "pris/prise/avale medicament*/comprime*/cachet*/pilule*/dose*/gouttes/mon/mes/l'ai/ai/DRUG"),
    (NEXT, "prochain*/ensuite/apres medicament*/prise/comprime*/quoi/quelle/quel"),
    (NEXT, "que/quoi/qu'est dois/prendre maintenant/prendre"),
    # ru
    (HELP, "позови*/позвони*/скажи* дочь/дочери/дочку/сына/сыну/жене/мужу/медсестр*/кого-нибудь"),
    (HELP, "нужна помощь"),
    (SKIPPED, "не принял*/выпил*/пил*/принима*/буду"),
    (SKIPPED, "забыл*/пропустил* таблетк*/лекарств*/принять/выпить/дозу/прием/DRUG"),
    (TAKEN, "принял*/выпил* таблетк*/лекарств*/капли/дозу/ее/его/их/я/уже/DRUG"),
    (NEXT, "что/какое/какая/когда следующ*/дальше/потом"),
    (NEXT, "что принимать/принять/пить/выпить сейчас/теперь/дальше"),
    # ar
    (HELP, "اتصل*/نادي*/كلم*/اخبر* ابنت*/بنت*/ابن*/زوج*/ممرض*/احد*/عاءله/اهل*"),
    (HELP, "احتاج/محتاج*/اريد مساعده"),
    (SKIPPED, "لم/ما/مش اخذ*/اتناول/اخد/تناولت/خدت/شربت/اخذت"),
    (SKIPPED, "نسيت/فاتت* دواء*/دوا*/حبه/حبوب/اقراص/جرعه/اخذ/DRUG"),
    (TAKEN, "اخذت/تناولت/خدت/شربت/بلعت دواء*/دوا*/حبه/حبوب/حبت*/اقراص/قرص/جرعه/ه/علاج*/DRUG"),
    (NEXT, "ما/ماذا/متي/ايش التالي/القادم/الجاي/بعد"),
    (NEXT, "ماذا/ايش/ايه اخذ/اتناول الان/دلوقتي"),
    # hi
    (HELP, "बेटी/बेटे/बेटा/बहू/पति/पत्नी/नर्स/किसी बुला*/फोन/बता*/कह*"),
    (HELP, "मदद चाहिए/चाहिये"),
    (SKIPPED, "दवा/दवाई/गोली/खुराक/DRUG नहीं/नही ली/खा*/लूं*/लूँ*/लिया"),
    (SKIPPED, "भूल/छूट*/छोड़* दवा/दवाई/गोली/खुराक/DRUG"),
    (TAKEN, "दवा/दवाई/गोली/खुराक/गोलियां/DRUG ली/ले/खा/खाई/लिया/खाली/खायी"),
    (TAKEN, "dawa/dawai/goli/DRUG le/li/kha"),
    (NEXT, "अगली/अगला/आगे दवा/दवाई/गोली/क्या/कब/खुराक"),
    (NEXT, "अभी/अब क्या/कौन* लेना/लेनी/खाना/खानी/दवा"),
    # sw
    (HELP, "mwite/muite/piga/mwambie binti/mtoto/mwanangu/mke/mume/muuguzi/mtu/yangu"),
    (HELP, "nahitaji msaada"),
    (SKIPPED, "sijanywa/sijameza/sikunywa/sikumeza/sitakunywa/sitameza/sijatumia"),
    (SKIPPED, "nimesahau/nimeruka/nilisahau dawa/kidonge/vidonge/kunywa/kumeza/dozi/DRUG"),
    (TAKEN, "nimekunywa/nimemeza/nimetumia/nilikunywa/nilimeza dawa/kidonge/vidonge/dozi/yangu/DRUG"),
    (NEXT, "inayofuata/ijayo/kinachofuata dawa/ni/nini/lini/dozi"),
    (NEXT, "ninywe/nimeze/nitumie/nakunywa nini/dawa sasa/gani"),
)  # fmt: skip
