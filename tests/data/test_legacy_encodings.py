"""Text tables in encodings older than UTF-8: read where the letters say which, else asked with the readings; never nonsense in silence."""

from pathlib import Path

import pytest

from hpsearch.data.loaders.csv_encoding import decode
from hpsearch.data.loaders.table_files import read_table
from hpsearch.data.options import ReadOptions
from hpsearch.errors import UserError

TEXTS = {
    "gbk": (
        "性别,年龄,城市\n男,34,北京\n女,25,上海\n",
        "a,类别\n1,猫\n2,狗\n",
        "价格,户型\n100,三室一厅\n90,两室一厅\n",
    ),
    "gb18030": ("姓名,备注\n张㐂,好\n李明,差\n",),
    "big5": ("性別,年齡,城市\n男,30,臺北\n女,20,高雄\n", "天氣,a\n晴天,1\n雨天,2\n"),
    "shift_jis": ("性別,年齢,都市\n男,34,東京\n女,25,大阪\n", "品種\nセトサ\nバージカラー\n"),
    "cp932": ("会社,区分\n㈱山田,①\n髙橋,②\n",),
    "euc_jp": ("性別,年齢,都市\n男,34,東京\n女,25,大阪\n", "品種\nセトサ\nバージカラー\n"),
    "euc_kr": ("성별,나이,도시\n남,34,서울\n여,25,부산\n", "a,분류\n1,개\n2,고양이\n", "날씨\n맑음\n흐림\n비\n"),
    "cp949": ("이름\n똠방각하\n홍길동\n",),
}
OPEN = {  # too few letters, or a byte for each letter
    "cp850": "farbe,x\ngrün,1\nschön,2\n",
    "mac_roman": "farbe,x\ngrün,1\nschön,2\n",
    "cp1250": "waluta,x\nzłoty,1\nmałe źdźbło,2\n",
    "gbk": "a,b\n1,是\n2,否\n",
    "euc_kr": "등급,x\n높음,1\n낮음,2\n",
    "cp1251": "город;цена\nМосква;1\nКазань;2\n",
    "koi8-r": "город;цена\nМосква;1\nКазань;2\n",
    "cp1253": "πόλη,x\nΑθήνα,1\nΠάτρα,2\n",
}
WESTERN = [
    *("Größe;x\n1;2\n", "Stadt;Note\nKöln;süß\nMünchen;Füße\n", "ville\nMontréal\ncréée\n", "ciudad\nA Coruña\nº1\n"),
    *("temp °C;m²\n1;2\n", "naïve “x”;½\n1;2\n", "a\n£5\n€6\n", "stad\nMalmö\nÅhus\n", "é,b\nà,1\n"),
]


@pytest.mark.parametrize(("encoding", "text"), [(name, text) for name, texts in TEXTS.items() for text in texts])
def test_east_asian_text_is_recognised(encoding: str, text: str) -> None:
    """Chinese, Japanese and Korean text is read by its letters, with a notice that shows one line and says how to choose another."""
    decoded = decode(text.encode(encoding), None)
    assert decoded.content.decode() == text
    assert decoded.encoding == encoding
    assert next(line for line in text.split("\n") if not line.isascii()) in decoded.notice
    assert "--encoding" in decoded.notice


@pytest.mark.parametrize("encoding", OPEN)
def test_what_several_encodings_fit_is_asked(encoding: str, tmp_path: Path) -> None:
    """Text that fits several encodings is refused with the line as each of them reads it; the option that is named reads it."""
    text = OPEN[encoding]
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    shown = next(line for line in text.split("\n") if not line.isascii())
    with pytest.raises(UserError) as refused:
        read_table(tmp_path / "t.csv")
    assert f"--encoding {encoding} ('{shown}')" in str(refused.value)
    assert "--encoding cp1252 (" in str(refused.value)
    assert "\n" not in str(refused.value)
    table = read_table(tmp_path / "t.csv", ReadOptions(encoding=encoding))
    separator = table.reading["separator"]
    assert shown in (separator.join(table.names), separator.join(cells[0].as_py() for cells in table.columns))


@pytest.mark.parametrize("text", WESTERN)
def test_western_text_is_read_as_before(text: str) -> None:
    """Text of Western Europe is cp1252, with a notice, however few letters of it there are."""
    decoded = decode(text.encode("cp1252"), None)
    assert (decoded.content.decode(), decoded.encoding) == (text, "cp1252")
    assert decoded.notice.startswith("Read as cp1252")


def test_new_rows_are_read_as_the_studys_file() -> None:
    """What would be asked is read in the encoding of a file that is like it."""
    for encoding, text in OPEN.items():
        assert decode(text.encode(encoding), None, encoding).content.decode() == text


def test_long_files_are_judged_by_their_first_lines() -> None:
    """A file with a long part in ASCII, and a byte far behind that the narrow encoding has not, is read by the wider one."""
    text = "编号,城市\n" + "1,x\n" * 50_000 + "2,北京\n3,上海\n" * 9_000 + "4,㐂\n"
    decoded = decode(text.encode("gb18030"), None)
    assert (decoded.encoding, len(decoded.content.decode())) == ("gb18030", len(text))
