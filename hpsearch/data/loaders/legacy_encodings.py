"""Which encoding older than UTF-8 a text is in: the one in which its letters are those that its language uses most, else a question.

Bytes that are not UTF-8 can be read in many encodings without an error, and most of these readings are nonsense: rare characters that no
text has side by side. So the share of a reading's distinct characters that are common in the encoding's languages is counted. Chinese text
read as Korean, or the other way round, has few of them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hpsearch.errors import shortened, shown

SAMPLE = 1 << 16  # bytes that are looked at
CERTAIN = 0.5  # of the distinct characters are common: the reading may be right
CLEAR = 2.0  # times as many as in the next best reading: it is
FEWEST = 3  # distinct characters that can be certain
WESTERN_RUN = rb"[\xc0-\xd6\xd8-\xf6\xf8-\xff\x8a\x8c\x8e\x9a\x9c\x9e\x9f]{1,2}|[\x80-\xff]"  # of letters as in Größe, or one sign
SHOWN = 40  # characters of a reading
MOST_READINGS = 5

HIRAGANA_AND_KATAKANA = "".join(map(chr, (*range(0x3041, 0x3097), *range(0x30A1, 0x30FB), 0x30FC)))
CHINESE = (  # both scripts: the most frequent characters, and those of usual columns
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
    "经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性"
    "知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次"
    "度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建"
    "务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路"
    "记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运男龄岁城价型编号姓期省县码温湿销售额京深州"
    "川江湖河津苏浙低好坏差优良级等否率款费车店客户单收晴阴雨雪云风猫狗鸟鱼红黄绿蓝白黑甲乙丙丁大小早晚"
    "這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣開從實無與長機關點業將兩間問應戰頭體見產話給門兒東聲員解論處義幾認條"
    "係氣題爾別變總電數報結務場計資許統區隊決馬書則聽卻達強難權設記類據邊張該規萬覺術領確傳師觀讓識帶導爭運齡歲價編號縣碼溫濕銷"
    "額蘇級優單臺灣陰雲風貓鳥魚紅黃綠藍"
)
JAPANESE = (
    "日一国会人年大十二本中長出三同時政事自行社見月分議後前民生連五発間対上部東者党地合市業内相方四定今回新場金員九入選立開手米力"
    "学問高代明実円関決子動京全目表戦経通外最言氏現理調体化田当八六約主題下首意法不来作性的要用制治度務強気小七成期公野協取都和統"
    "以機平総加山思家話世受区領多県続進正安設保改数記院女初北午指権心界支第産結百派点教報済書府活原先共得解名交資予川向際査勝面委"
    "告軍文反元重近千考判認画海参売利組知案道信策集在件団別物側任引使求所次水半品昨論計死官増係感特情投示変打男基私各始島直両朝革"
    "価式確村提運終挙果西勢減台広容必応演電歳住争談能無再位置企真流格有疑口過局少放税検藤町常校料沢裁状工建語球営空職証土与急止送"
    "援供可役構木割聞身費付施切由説転食比難防補車優夫研収断井何南石足違消境神番規術護展態導鮮備宅害配副算視条幹独警宮究育席輸訪楽"
    "起万着乗店述残想線率病農州武声質念待試族象銀域助労例衛然早張映限親額監環験追審商葉義伝働形景落欧担好退準賀訴辺造英被株頭技低"
    "毎医復仕去姿味負閣韓渡失移差衆個門写評課末守若脳極種美岡影命含福蔵量望松非撃佐核観察整段横融型白深字答夜製票況音申様財港識注"
    "呼渉達齢札幌阪古屋湿温良悪普晴曇雨雪猫犬鳥魚赤青黒緑黄"
)
KOREAN = (
    "이다는에의가을를고한지하도로기은사자나서인그리어시해대아정과수일들으거라만있여보게전것부장제면었주구스동상원내오니우되당비성적신없조"
    "선마무중모진안연경생교소미분공관학문유화발방실용세할회년심민치계재국불말후물타데와습까때더러또개체산력점식바위집음건열표간각단등명양술"
    "결입목권현설영초질업행남살터북군역반금호트프크레토드포울천광강충청라별름격날짜류급번온매출높낮음크작값액월연령득직족택차량품맑흐림눈날씨류종예니오빨강노랑파하양검정녹색고양개새"
)


@dataclass(frozen=True, slots=True)
class Legacy:
    """An encoding: its `names` as Python calls them, the narrow one first; the `language`, and the characters that are `common` in it."""

    names: tuple[str, ...]
    language: str
    common: frozenset[str]


EAST_ASIAN = (
    Legacy(("gbk", "gb18030"), "Chinese", frozenset(CHINESE)),
    Legacy(("big5", "big5hkscs"), "Chinese", frozenset(CHINESE)),
    Legacy(("shift_jis", "cp932"), "Japanese", frozenset(JAPANESE + HIRAGANA_AND_KATAKANA)),
    Legacy(("euc_jp",), "Japanese", frozenset(JAPANESE + HIRAGANA_AND_KATAKANA)),
    Legacy(("euc_kr", "cp949"), "Korean", frozenset(KOREAN)),
)
SCRIPTS: Mapping[str, str] = {  # of encodings with a byte for each letter → its letters
    "cp1251": "[\u0400-\u04ff]",
    "koi8-r": "[\u0400-\u04ff]",
    "cp1253": "[\u0370-\u03ff]",
    "cp1255": "[\u0590-\u05ff]",
    "cp1256": "[\u0600-\u06ff]",
    "cp874": "[\u0e00-\u0e7f]",
}
WESTERN = "cp1252"
OF_EUROPE = ("cp1250", "cp850", "mac_roman")  # of Central Europe, of DOS, of old Macs
ODD = 0.1  # of the letters within words are none: the reading is wrong
IN_WORDS = "’‘´–—·"  # signs that words may have within them


@dataclass(frozen=True, slots=True)
class Reading:
    """A text in an encoding, the encoding's language, and the share of the text's distinct letters (not ASCII) that are common in it."""

    encoding: str
    language: str
    share: float
    wider: tuple[str, ...] = ()  # encodings that have more letters of the same bytes


def possible_readings(content: bytes) -> tuple[list[Reading], bool]:
    """Return in which encodings a text that is not UTF-8 can be read, the likeliest first, and whether the first is clearly right.

    There are none where the text looks like one of Western Europe.
    """
    sample = _sample(content)
    readings = sorted(_readings(sample), key=lambda reading: -reading.share)
    best = max((reading.share for reading in readings), default=0.0)
    next_best = max((reading.share for reading in readings[1:]), default=0.0)
    if best >= CERTAIN and best >= CLEAR * next_best and len(_letters(sample.decode(readings[0].encoding))) >= FEWEST:
        first = readings[0]
        for name in (first.encoding, *first.wider):
            if _fits(content, name):
                return [replace(first, encoding=name), *readings[1:]], True
    if best < CERTAIN and _is_western(sample):
        return [], False
    return [*readings, *_of_bytes(sample)], False


def readings_of_europe(content: bytes) -> list[Reading]:
    """Return the encodings in which a text reads better than in cp1252, the best first; none where it has no odd signs within words."""
    sample = _sample(content)
    odd = _odd_share(sample, WESTERN)
    if odd < ODD:
        return []
    shares = {name: _odd_share(sample, name) for name in OF_EUROPE}
    better = sorted((name for name in OF_EUROPE if shares[name] < odd), key=lambda name: shares[name])
    return [Reading(name, "", 1 - shares[name]) for name in better]


def _odd_share(sample: bytes, encoding: str) -> float:
    """Return the share of the characters, not ASCII, between two small letters that are neither a small letter nor a sign of words."""
    text = sample.decode(encoding, "replace")
    triples = zip(text, text[1:], text[2:], strict=False)
    within = [
        middle for before, middle, after in triples if before.islower() and after.islower() and not middle.isascii()
    ]
    odd = [letter for letter in within if not (letter.islower() or letter in IN_WORDS)]
    lost = text.count("\ufffd")  # a byte that the encoding has not
    return (len(odd) + lost) / max(1, len(within) + lost)


def asked(content: bytes, line: int, readings: Sequence[Reading]) -> str:
    """Return the question in which encoding a text is, with the first line that is not ASCII in each."""
    first = next(part for part in content.split(b"\n") if not part.isascii()).strip()
    likely = [reading.encoding for reading in readings[: MOST_READINGS - 1]]
    told = [f"--encoding {name} ({_start(first, name)})" for name in (*likely, WESTERN)]
    return (
        f"line {line:,} is not UTF-8, and its bytes fit several encodings. Give the one in which it reads right: "
        f"{', '.join(told[:-1])} or {told[-1]}; in a study's file data.encoding."
    )


def example(text: str) -> str:
    """Return the first line of a text that is not ASCII, shortened."""
    first = next(line for line in text.split("\n") if not line.isascii())
    return shown(shortened(first.strip(), SHOWN))


def _start(line: bytes, encoding: str) -> str:
    return shown(shortened(line.decode(encoding, "replace"), SHOWN))


def _sample(content: bytes) -> bytes:
    r"""Return the first lines that are not ASCII; a byte of them is never a part of a letter of the next, as no letter has \n in it."""
    lines = []
    size = 0
    for line in content.split(b"\n"):
        if line.isascii():
            continue
        lines.append(line)
        size += len(line)
        if size > SAMPLE:
            break
    return b"\n".join(lines)


def _readings(sample: bytes) -> Iterator[Reading]:
    """Yield the encodings of East Asia that have all bytes of a sample."""
    for legacy in EAST_ASIAN:
        names = [name for name in legacy.names if _fits(sample, name)]
        if names:
            letters = _letters(sample.decode(names[0]))
            share = len(letters & legacy.common) / max(1, len(letters))
            yield Reading(names[0], legacy.language, share, tuple(names[1:]))


def _letters(text: str) -> set[str]:
    return {letter for letter in text if letter.isalpha() and not letter.isascii()}


def _is_western(sample: bytes) -> bool:
    """Whether letters that are not ASCII mostly stand alone or by twos, as in the languages of Western Europe."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    foreign = sum(len(run) for run in runs if not re.fullmatch(WESTERN_RUN, run))
    return 2 * foreign < sum(map(len, runs))


def _of_bytes(sample: bytes) -> list[Reading]:
    """Return the readings with a byte for each letter in which most letters that are not ASCII are of one script."""
    readings = []
    for name, script in SCRIPTS.items():
        letters = [letter for letter in sample.decode(name, "replace") if not letter.isascii()]
        share = len(re.findall(script, "".join(letters))) / len(letters)
        if share >= CERTAIN:
            readings.append(Reading(name, "", share))
    return readings


def _fits(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
