// Finds the file that antivirus programs are tried with: it is harmless, and every
// scanner calls it a find. Its text stands here in two parts, so that no scanner
// takes this file for it.

rule eicar_test_file
{
    meta:
        description = "A file that is the EICAR test file and nothing else"
        reference = "https://www.eicar.org/download-anti-malware-testfile/"

    strings:
        $first = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR"
        $second = "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

    condition:
        filesize <= 128 and $first at 0 and $second at 33
}

rule eicar_test_text
{
    meta:
        description = "The text of the EICAR test file, anywhere in a file"
        reference = "https://www.eicar.org/download-anti-malware-testfile/"

    strings:
        $first = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR"
        $second = "-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

    condition:
        for any i in (1 .. #first) : ($second at @first[i] + 33)
}
