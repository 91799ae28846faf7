package httpkit

import (
	"bytes"
	"mime/multipart"
	"net/http/httptest"
	"testing"

	"muster/server/fault"
)

type upload struct {
	File File   `arg:"file,required"`
	Kind string `arg:"type"`
}

func TestDecodeUploads(t *testing.T) {
	for sentence, c := range map[string]struct {
		filename, content string
		want              string
	}{
		"a plain name is kept":                       {"a.yar", "rule a {}", "a.yar"},
		"folders are left out":                       {"../../etc/a.yar", "x", "a.yar"},
		"folders of Windows are left out as well":    {`C:\temp\a.yar`, "x", "a.yar"},
		"a name that is a folder only becomes empty": {`evil\`, "x", ""},
		"content may be binary":                      {"b", "\x00\xff", "b"},
	} {
		t.Run(sentence, func(t *testing.T) {
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			part, err := form.CreateFormFile("file", c.filename)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = part.Write([]byte(c.content))
			_ = form.WriteField("type", "md5")
			_ = form.Close()
			r := httptest.NewRequest("POST", "/", &body)
			r.Header.Set("Content-Type", form.FormDataContentType())
			got, err := Decode[upload](r)
			if err != nil || got.File.Name != c.want || string(got.File.Content) != c.content || got.Kind != "md5" {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

func TestAFileThatIsNotUploadedIsMissing(t *testing.T) {
	for _, body := range []string{"", `{"file": "text"}`, `{"file": null}`} {
		r := httptest.NewRequest("POST", "/", bytes.NewReader([]byte(body)))
		r.Header.Set("Content-Type", "application/json")
		_, err := Decode[upload](r)
		if !fault.Is(err, fault.Invalid) || fault.FieldsOf(err)["file"] == "" {
			t.Errorf("%s: %v %v", body, err, fault.FieldsOf(err))
		}
	}
}
