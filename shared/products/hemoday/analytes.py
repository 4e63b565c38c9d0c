"""What laboratories measure of a child with thalassaemia: one row an analyte, as data.

A row has the LOINC code (loinc.org) and the UCUM unit in which values are compared, which is of the code's
own kind: mass or substance. Molar masses follow from formulas (IUPAC's abridged atomic weights of 2021);
that of haemoglobin is of one of its four chains, as laboratories count it in mmol/L (ICSH: 16 114.5 g/mol).
`asked` are the values that nobody is asked about: wide, only to find slips of a finger and of a unit. They
say nothing about health. Names are those that people type, in English, Russian, Arabic and Hindi.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

#: g/mol.
_WEIGHTS = {
    "H": Fraction("1.008"),
    "C": Fraction("12.011"),
    "N": Fraction("14.007"),
    "O": Fraction("15.999"),
    "Na": Fraction("22.990"),
    "Mg": Fraction("24.305"),
    "P": Fraction("30.974"),
    "K": Fraction("39.098"),
    "Ca": Fraction("40.078"),
    "Fe": Fraction("55.845"),
    "Co": Fraction("58.933"),
    "Zn": Fraction("65.38"),
    "I": Fraction("126.90"),
}

#: Names of a language other than English, in its letters.
_SCRIPTS = {
    "ru": re.compile(r"[а-яё0-9 -]+"),
    "ar": re.compile(r"[\u0621-\u0652 0-9]+"),
    "hi": re.compile(r"[\u0900-\u097f 0-9]+"),
}

#: Russian names of so many letters are acronyms.
_ACRONYM = 3


@dataclass(frozen=True, slots=True)
class Analyte:
    """One analyte.

    `names` are separated by semicolons, the first is its English name. `valence`: how many mmol of charge
    a mmol has, where laboratories write mEq. `international`: the analyte's [IU] is its U (for enzymes by
    definition: Enzyme Nomenclature 1978; for TSH laboratories write both for the same).
    """

    loinc: str
    unit: str
    names: str
    asked: tuple[str, str]
    formula: str = ""
    mass: str = ""  #: g/mol, where there is no formula
    valence: int = 0
    international: bool = False

    @property
    def name(self) -> str:
        """Its English name."""
        return self.names.partition(";")[0]

    def called(self, language: str) -> str:
        """Its name in a language: the first that is of the language's script, else in English."""
        script = _SCRIPTS.get(language)
        if script is None:
            return self.name
        names = (each.strip() for each in self.names.split(";"))
        found = next((each for each in names if script.fullmatch(each)), self.name)
        if language != "ru":
            return found
        if len(found) <= _ACRONYM:
            return found.upper()
        return re.sub(r"^\w|\b(?!в\b)\w\d*\b", lambda letter: letter[0].upper(), found)

    @property
    def molar_mass(self) -> Fraction | None:
        """g/mol; None: it is not converted between mass and substance."""
        if self.mass:
            return Fraction(self.mass)
        parts = re.findall(r"([A-Z][a-z]?)(\d*)", self.formula)
        return sum((_WEIGHTS[atom] * int(count or 1) for atom, count in parts), Fraction(0)) or None


_FE = "Fe"

ANALYTES = (
    # --- blood count
    Analyte(
        "718-7",
        "g/L",
        "Haemoglobin; hemoglobin; hb; hgb; haemoglobin hb; blood hemoglobin; гемоглобин; hb гемоглобин; "
        "هيموغلوبين; هيموجلوبين; الهيموغلوبين; الهيموجلوبين; خضاب الدم; हीमोग्लोबिन; हिमोग्लोबिन; एचबी",
        ("20", "250"),
        mass="16114.5",
    ),
    Analyte(
        "4544-3",
        "%",
        "Haematocrit; hematocrit; hct; ht; pcv; packed cell volume; гематокрит; الهيماتوكريت; هيماتوكريت; "
        "हीमेटोक्रिट; हेमेटोक्रिट; पीसीवी",
        ("5", "75"),
    ),
    Analyte(
        "789-8",
        "10*12/L",
        "Red blood cells; rbc; rbc count; red cells; erythrocytes; red blood cell count; эритроциты; "
        "كريات الدم الحمراء; خلايا الدم الحمراء; लाल रक्त कोशिकाएं; लाल रक्त कोशिका; आरबीसी",
        ("0.5", "9"),
    ),
    Analyte(
        "6690-2",
        "10*9/L",
        "White blood cells; wbc; wbc count; leukocytes; leucocytes; tlc; total leucocyte count; "
        "white blood cell count; лейкоциты; كريات الدم البيضاء; خلايا الدم البيضاء; श्वेत रक्त कोशिकाएं; "
        "डब्ल्यूबीसी; टीएलसी",
        ("0.1", "200"),
    ),
    Analyte(
        "777-3",
        "10*9/L",
        "Platelets; plt; platelet count; thrombocytes; тромбоциты; الصفائح الدموية; صفائح دموية; صفائح; "
        "प्लेटलेट्स; प्लेटलेट; बिंबाणु",
        ("1", "2500"),
    ),
    Analyte(
        "787-2",
        "fL",
        "MCV; mean corpuscular volume; mean cell volume; средний объем эритроцита; "
        "متوسط حجم الكرية; متوسط حجم كرية الدم الحمراء; एमसीवी",
        ("40", "140"),
    ),
    Analyte(
        "785-6",
        "pg",
        "MCH; mean corpuscular hemoglobin; mean cell hemoglobin; "
        "среднее содержание гемоглобина в эритроците; "
        "متوسط هيموغلوبين الكرية; एमसीएच",
        ("10", "50"),
    ),
    Analyte(
        "786-4",
        "g/L",
        "MCHC; mean corpuscular hemoglobin concentration; средняя концентрация гемоглобина в эритроците; "
        "تركيز هيموغلوبين الكرية; एमसीएचसी",
        ("200", "420"),
        mass="16114.5",
    ),
    Analyte(
        "788-0",
        "%",
        "RDW; rdw-cv; red cell distribution width; ширина распределения эритроцитов; "
        "توزع حجم الكريات الحمراء; आरडीडब्ल्यू",
        ("8", "60"),
    ),
    Analyte(
        "4679-7",
        "%",
        "Reticulocytes; retic; retic count; reticulocyte count; ретикулоциты; الخلايا الشبكية; شبكيات; "
        "रेटिकुलोसाइट; रेटिकुलोसाइट्स",
        ("0", "60"),
    ),
    Analyte(
        "19048-8",
        "%",
        "Nucleated red cells; nrbc; nucleated rbc; normoblasts; нормобласты; нормоциты; "
        "كريات حمراء منواة; न्यूक्लिएटेड आरबीसी",
        ("0", "5000"),
    ),
    Analyte(
        "751-8",
        "10*9/L",
        "Neutrophils; neutrophil count; anc; absolute neutrophil count; нейтрофилы; العدلات; عدلات; "
        "न्यूट्रोफिल; न्यूट्रोफिल्स",
        ("0", "150"),
    ),
    Analyte(
        "731-0",
        "10*9/L",
        "Lymphocytes; lymphocyte count; alc; absolute lymphocyte count; лимфоциты; اللمفاويات; لمفاويات; "
        "लिम्फोसाइट; लिम्फोसाइट्स",
        ("0", "150"),
    ),
    Analyte(
        "4537-7",
        "mm/h",
        "ESR; erythrocyte sedimentation rate; sedimentation rate; соэ; سرعة الترسيب; سرعة التثفل; ईएसआर",
        ("0", "200"),
    ),
    Analyte(
        "4576-5",
        "%",
        "Haemoglobin F; hemoglobin f; hb f; hbf; fetal hemoglobin; foetal haemoglobin; гемоглобин f; "
        "фетальный гемоглобин; هيموغلوبين f; الهيموغلوبين الجنيني; हीमोग्लोबिन एफ; एचबीएफ",
        ("0", "100"),
    ),
    Analyte(
        "4551-8",
        "%",
        "Haemoglobin A2; hemoglobin a2; hb a2; hba2; гемоглобин a2; гемоглобин а2; هيموغلوبين a2; "
        "हीमोग्लोबिन ए2; एचबीए2",
        ("0", "30"),
    ),
    # --- iron
    Analyte(
        "2276-4",
        "ug/L",
        "Ferritin; serum ferritin; s ferritin; sf; ферритин; فيريتين; الفيريتين; مخزون الحديد; فرتين; "
        "फेरिटिन; फेरीटिन; सीरम फेरिटिन",
        ("1", "50000"),
    ),
    Analyte(
        "14798-3",
        "umol/L",
        "Iron; serum iron; fe; s iron; железо; сывороточное железо; железо сыворотки; حديد; الحديد; "
        "حديد المصل; आयरन; सीरम आयरन; लोहा",
        ("0.5", "150"),
        formula=_FE,
    ),
    Analyte(
        "14800-7",
        "umol/L",
        "TIBC; total iron binding capacity; iron binding capacity; "
        "общая железосвязывающая способность; ожсс; السعة الكلية للارتباط بالحديد; السعة الرابطة للحديد; "
        "टीआईबीसी",
        ("5", "200"),
        formula=_FE,
    ),
    Analyte(
        "3034-6",
        "g/L",
        "Transferrin; трансферрин; ترانسفيرين; الترانسفيرين; ट्रांसफेरिन",
        ("0.1", "8"),
    ),
    Analyte(
        "2502-3",
        "%",
        "Transferrin saturation; tsat; iron saturation; насыщение трансферрина; "
        "коэффициент насыщения трансферрина железом; تشبع الترانسفيرين; ट्रांसफेरिन सैचुरेशन",
        ("1", "150"),
    ),
    # --- liver
    Analyte(
        "1742-6",
        "U/L",
        "ALT; alat; sgpt; alanine aminotransferase; алт; алат; аланинаминотрансфераза; "
        "ناقلة أمين الألانين; انزيم الكبد alt; एएलटी; एसजीपीटी",
        ("1", "10000"),
        international=True,
    ),
    Analyte(
        "1920-8",
        "U/L",
        "AST; asat; sgot; aspartate aminotransferase; аст; асат; аспартатаминотрансфераза; "
        "ناقلة أمين الأسبارتات; انزيم الكبد ast; एएसटी; एसजीओटी",
        ("1", "10000"),
        international=True,
    ),
    Analyte(
        "2324-2",
        "U/L",
        "GGT; ggtp; gamma gt; gamma glutamyl transferase; ггт; ггтп; гамма-гт; غاما جي تي; जीजीटी",
        ("1", "5000"),
        international=True,
    ),
    Analyte(
        "6768-6",
        "U/L",
        "ALP; alkaline phosphatase; alk phos; щелочная фосфатаза; щф; الفوسفاتاز القلوي; "
        "एल्कलाइन फॉस्फेटेज; एएलपी",
        ("5", "5000"),
        international=True,
    ),
    Analyte(
        "2532-0",
        "U/L",
        "LDH; lactate dehydrogenase; лдг; лактатдегидрогеназа; نازعة هيدروجين اللاكتات; एलडीएच",
        ("20", "20000"),
        international=True,
    ),
    Analyte(
        "14631-6",
        "umol/L",
        "Bilirubin, total; total bilirubin; bilirubin; t bil; tbil; билирубин; "
        "билирубин общий; общий билирубин; بيليروبين; البيليروبين; البيليروبين الكلي; بيليروبين كلي; "
        "बिलीरुबिन; कुल बिलीरुबिन; बिलीरुबिन टोटल",
        ("0.5", "1000"),
        formula="C33H36N4O6",
    ),
    Analyte(
        "14629-0",
        "umol/L",
        "Bilirubin, direct; direct bilirubin; conjugated bilirubin; d bil; dbil; "
        "билирубин прямой; прямой билирубин; البيليروبين المباشر; بيليروبين مباشر; डायरेक्ट बिलीरुबिन",
        ("0", "700"),
        formula="C33H36N4O6",
    ),
    Analyte(
        "1751-7",
        "g/L",
        "Albumin; serum albumin; альбумин; ألبومين; الألبومين; زلال; एल्ब्यूमिन; एल्बुमिन",
        ("5", "80"),
    ),
    Analyte(
        "2885-2",
        "g/L",
        "Protein, total; total protein; белок общий; общий белок; البروتين الكلي; "
        "कुल प्रोटीन; टोटल प्रोटीन",
        ("20", "150"),
    ),
    # --- kidney and salts
    Analyte(
        "14682-9",
        "umol/L",
        "Creatinine; serum creatinine; creat; креатинин; كرياتينين; الكرياتينين; क्रिएटिनिन; सीरम क्रिएटिनिन",
        ("5", "3000"),
        formula="C4H7N3O",
    ),
    Analyte(
        "22664-7",
        "mmol/L",
        "Urea; serum urea; blood urea; мочевина; يوريا; اليوريا; البولة; यूरिया; ब्लड यूरिया",
        ("0.3", "100"),
        formula="CH4N2O",
    ),
    Analyte(
        "3094-0",
        "mg/dL",
        "Urea nitrogen; bun; blood urea nitrogen; азот мочевины; نيتروجين اليوريا; बीयूएन; "
        "ब्लड यूरिया नाइट्रोजन",
        ("1", "300"),
        formula="N2",
    ),
    Analyte(
        "14933-6",
        "umol/L",
        "Uric acid; urate; serum uric acid; мочевая кислота; حمض اليوريك; حمض البول; यूरिक एसिड",
        ("20", "2000"),
        formula="C5H4N4O3",
    ),
    Analyte(
        "2951-2",
        "mmol/L",
        "Sodium; na; na+; натрий; صوديوم; الصوديوم; सोडियम",
        ("80", "200"),
        formula="Na",
        valence=1,
    ),
    Analyte(
        "2823-3",
        "mmol/L",
        "Potassium; k; k+; калий; بوتاسيوم; البوتاسيوم; पोटैशियम; पोटेशियम",
        ("1", "12"),
        formula="K",
        valence=1,
    ),
    Analyte(
        "2000-8",
        "mmol/L",
        "Calcium; total calcium; calcium total; ca; кальций; кальций общий; общий кальций; كالسيوم; "
        "الكالسيوم; कैल्शियम",
        ("0.5", "5"),
        formula="Ca",
        valence=2,
    ),
    Analyte(
        "2601-3",
        "mmol/L",
        "Magnesium; mg; mg++; магний; مغنيسيوم; المغنيسيوم; मैग्नीशियम",
        ("0.1", "5"),
        formula="Mg",
        valence=2,
    ),
    Analyte(
        "14879-1",
        "mmol/L",
        "Phosphate; phosphorus; inorganic phosphorus; phos; фосфор; фосфор неорганический; فوسفور; "
        "الفوسفور; "
        "فوسفات; फॉस्फोरस; फॉस्फेट",
        ("0.1", "6"),
        formula="P",
    ),
    Analyte(
        "5763-8",
        "ug/L",
        "Zinc; serum zinc; zn; цинк; زنك; الزنك; जिंक",
        ("50", "5000"),
        formula="Zn",
    ),
    # --- hormones, sugar, vitamins, the rest
    Analyte(
        "14749-6",
        "mmol/L",
        "Glucose; blood glucose; blood sugar; sugar; fasting glucose; fasting blood sugar; fbs; "
        "rbs; глюкоза; "
        "сахар крови; глюкоза крови; جلوكوز; غلوكوز; سكر الدم; السكر; ग्लूकोज; रक्त शर्करा; शुगर; ब्लड शुगर",
        ("0.3", "100"),
        formula="C6H12O6",
    ),
    Analyte(
        "4548-4",
        "%",
        "HbA1c; hemoglobin a1c; haemoglobin a1c; glycated hemoglobin; a1c; гликированный гемоглобин; "
        "السكر التراكمي; الهيموغلوبين السكري; एचबीए1सी",
        ("2", "25"),
    ),
    Analyte(
        "3016-3",
        "m[IU]/L",
        "TSH; thyrotropin; thyroid stimulating hormone; ттг; тиреотропный гормон; "
        "الهرمون المنبه للدرقية; هرمون الغدة الدرقية tsh; टीएसएच",
        ("0.001", "1000"),
        international=True,
    ),
    Analyte(
        "14920-3",
        "pmol/L",
        "Free T4; ft4; free thyroxine; t4 free; т4 свободный; свободный т4; тироксин свободный; "
        "الثيروكسين الحر; फ्री टी4",
        ("0.5", "150"),
        formula="C15H11I4NO4",
    ),
    Analyte(
        "2731-8",
        "ng/L",
        "Parathyroid hormone; pth; parathormone; intact pth; ipth; паратгормон; птг; "
        "هرمون الغدة الجار درقية; الهرمون الدريقي; पीटीएच; पैराथायराइड हार्मोन",
        ("0.5", "5000"),
        mass="9424.7",
    ),
    Analyte(
        "62292-8",
        "ug/L",
        "Vitamin D; vitamin d 25-oh; 25-oh vitamin d; 25 hydroxyvitamin d; 25(oh)d; vit d; витамин d; "
        "витамин д; 25-oh витамин d; فيتامين د; فيتامين d; विटामिन डी",
        ("1", "500"),
        formula="C27H44O2",
    ),
    Analyte(
        "2132-9",
        "ng/L",
        "Vitamin B12; b12; cobalamin; витамин b12; витамин в12; فيتامين ب12; فيتامين b12; विटामिन बी12",
        ("10", "20000"),
        formula="C63H88CoN14O14P",
    ),
    Analyte(
        "2284-8",
        "ug/L",
        "Folate; folic acid; serum folate; фолиевая кислота; фолаты; حمض الفوليك; الفولات; "
        "फोलिक एसिड; फोलेट",
        ("0.2", "200"),
        formula="C19H19N7O6",
    ),
    Analyte(
        "1988-5",
        "mg/L",
        "CRP; c-reactive protein; срб; с-реактивный белок; البروتين التفاعلي c; بروتين سي التفاعلي; सीआरपी",
        ("0", "700"),
    ),
    Analyte(
        "6301-6",
        "",
        "INR; pt inr; international normalized ratio; мно; النسبة المعيارية الدولية; आईएनआर",
        ("0.3", "20"),
    ),
)
