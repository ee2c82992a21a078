"""Records in XML: whatever is well formed and lawful is read, and what declares a document type is refused."""

from __future__ import annotations

import base64

import pytest

from likeness.domain.errors import SampleRejected
from likeness.fingerprint.formats import read
from likeness.fingerprint.formats.leaves import MAX_ELEMENTS
from tests.unit.fingerprint.formats.records import BINARY, iso_2005, same

RECORD = iso_2005()
TEXT = base64.b64encode(RECORD)
HALF = len(TEXT) // 2
BOM = b"\xef\xbb\xbf"
DECLARATION = b"<?xml version='1.0' encoding='UTF-8'?>"
NIEM = b"""<itl:NISTBiometricInformationExchangePackage xmlns:itl='i' xmlns:nc='n' xmlns:biom='b'>
<itl:PackageInformationRecord><biom:RecordCategoryCode>01</biom:RecordCategoryCode>
<biom:TransactionDate><nc:Date>2026-01-01</nc:Date></biom:TransactionDate></itl:PackageInformationRecord>
<itl:PackageMinutiaeRecord><biom:Vendor><nc:BinaryBase64Object>%s</nc:BinaryBase64Object></biom:Vendor>
</itl:PackageMinutiaeRecord></itl:NISTBiometricInformationExchangePackage>"""

READ = {
    "alone": b"<BDB>%s</BDB>" % TEXT,
    "in a BIR": DECLARATION
    + b"<BIR><BIRInfo><Integrity>false</Integrity></BIRInfo><BDB>%s</BDB><SB/></BIR>" % TEXT,
    "with a prefix": b"<c:BIR xmlns:c='x'><c:BDB>%s</c:BDB></c:BIR>" % TEXT,
    "with a prefix that is not declared": b"<c:BIR><c:BDB>%s</c:BDB></c:BIR>" % TEXT,
    "with attributes": b"<BIR><BDB a='>' xsi:type=\"xs:base64Binary\">%s</BDB></BIR>" % TEXT,
    "as CDATA": b"<BIR><BDB><![CDATA[%s]]></BDB></BIR>" % TEXT,
    "as CDATA in part": b"<BIR><BDB>\n%s<![CDATA[%s]]>\n</BDB></BIR>" % (TEXT[:HALF], TEXT[HALF:]),
    "with a comment before it": b"<!-- made by > hand --><BIR><BDB>%s</BDB></BIR>" % TEXT,
    "with a block in a comment": b"<BIR><!-- <BDB>%s</BDB> --><BDB>%s</BDB></BIR>" % (TEXT[::-1], TEXT),
    "with a block as text": b"<BIR><Note><![CDATA[<BDB>QUJD</BDB>]]></Note><BDB>%s</BDB></BIR>" % TEXT,
    "with a comment inside": b"<BIR><BDB>%s<!-- half -->%s</BDB></BIR>" % (TEXT[:HALF], TEXT[HALF:]),
    "with an instruction": b"<?xml-stylesheet href='x'?><BIR><BDB>%s</BDB></BIR>" % TEXT,
    "with references to characters": b"<BIR><BDB>%s&#10;%s</BDB></BIR>" % (TEXT[:HALF], TEXT[HALF:]),
    "after a byte order mark": BOM + DECLARATION + b"<BIR><BDB>%s</BDB></BIR>" % TEXT,
    "after blanks": b"\r\n \t" + DECLARATION + b"<BIR><BDB>%s</BDB></BIR>\r\n\0" % TEXT,
    "after both": BOM + b"\r\n" + DECLARATION + b"<BIR><BDB>%s</BDB></BIR>" % TEXT,
    "in UTF-16": f"<?xml version='1.0' encoding='UTF-16'?><BIR><BDB>{TEXT.decode()}</BDB></BIR>".encode(
        "utf-16"
    ),
    "in Latin 1": b"<?xml version='1.0' encoding='ISO-8859-1'?><BIR><By>J\xfcrg</By><BDB>%s</BDB></BIR>"
    % TEXT,
    "in hexadecimal": b"<BIR><BDB>%s</BDB></BIR>" % RECORD.hex().encode(),
    "with an empty block": b"<BIR><BDB/><BDB>%s</BDB></BIR>" % TEXT,
    "as NIEM": NIEM % TEXT,
    "as an element of any name": b"<person><name>A</name><template>%s</template></person>" % TEXT,
}


@pytest.mark.parametrize("how", READ)
def test_a_record_in_xml_is_read(how: str) -> None:
    found = read(READ[how], "a record")
    assert same(found, read(RECORD, "a record"))
    assert [remark.reason for remark in found.remarks] == ["RECORD_UNWRAPPED"]
    assert "in an XML file" in found.remarks[0].message


LAUGHS = b"<!DOCTYPE l [<!ENTITY a 'ha'>%s]><BIR><BDB>&z;</BDB></BIR>" % b"".join(
    b"<!ENTITY %c '%s'>" % (letter, b"&%c;" % (letter - 1) * 20) for letter in range(ord("b"), ord("z") + 1)
)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"<!DOCTYPE BIR><BIR><BDB>%s</BDB></BIR>" % TEXT, "DOCTYPE"),
        (b"<!DOCTYPE BIR SYSTEM 'http://localhost/bir.dtd'><BIR><BDB>%s</BDB></BIR>" % TEXT, "DOCTYPE"),
        (
            DECLARATION + b"<!-- -->\n<!DOCTYPE r [<!ENTITY b '%s'>]><BIR><BDB>&b;</BDB></BIR>" % TEXT,
            "DOCTYPE",
        ),
        (b"<!DOCTYPE r [<!ENTITY b SYSTEM 'file:///etc/hostname'>]><BIR><BDB>&b;</BDB></BIR>", "DOCTYPE"),
        (LAUGHS, "DOCTYPE"),
        (b"<BIR><BDB>&b;</BDB></BIR>", "not well formed"),
        (b"<BIR><BDB>%s</BDB>" % TEXT, "not well formed"),
        (b"<BIR><BDB>%s</BIR></BDB>" % TEXT, "not well formed"),
        (b"<?xml version='1.0' encoding='x-none'?><BIR><BDB>%s</BDB></BIR>" % TEXT, "XML text"),
        (b"<?xml version='1.0' encoding='idna'?><BIR><BDB>%s</BDB></BIR>" % TEXT, "XML text"),
        (b"<?xml version='1.0' encoding='gb18030'?><BIR><BDB>%s</BDB></BIR>" % TEXT, "XML text"),
        (b"<r>" + b"<a/>" * MAX_ELEMENTS + b"</r>", f"more than {MAX_ELEMENTS} elements"),
        (b"<a>" * 100_000, f"more than {MAX_ELEMENTS} elements"),
        (b"<BIR><BDB></BDB></BIR>", "XML text"),
    ],
)
def test_other_xml_is_refused_with_its_cause(data: bytes, cause: str) -> None:
    with pytest.raises(SampleRejected) as caught:
        read(data, "a record")
    assert caught.value.reason == "UNSUPPORTED_FORMAT"
    assert cause in caught.value.message


def test_numbers_and_digests_in_other_elements_are_no_records() -> None:
    noise = [b"7b226964223a317d7b226964223a317d7b226964", b"20260101" * 8, base64.b64encode(bytes(range(64)))]
    data = b"<BIR>%s<BDB>%s</BDB></BIR>" % (b"".join(b"<Id>%s</Id>" % one for one in noise), TEXT)
    assert same(read(data, "a record"), read(RECORD, "a record"))


def test_a_block_that_holds_a_picture_is_named() -> None:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40))
    with pytest.raises(SampleRejected, match="in an XML file with base64 text with a PNG picture"):
        read(b"<BIR><BDB>%s</BDB></BIR>" % picture, "a record")


@pytest.mark.parametrize("standard", BINARY)
def test_nothing_of_a_record_is_lost_in_xml(standard: str) -> None:
    record = {str(name): data for name, data in BINARY.items()}[standard]
    assert same(read(b"<B><BDB>%s</BDB></B>" % base64.b64encode(record), "x"), read(record, "x"))
