package httpkit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"muster/server/fault"
)

// ErrJSON is the cause of the fault for a body that should be a JSON object and is
// none.
var ErrJSON = errors.New("the body is no JSON object")

const (
	// maxDepth bounds how deep arrays and objects of a JSON body may nest.
	maxDepth = 64
	// maxValues bounds how many values it has: two bytes of text may be a value, which
	// takes fifty bytes and more of memory.
	maxValues = 1_000_000
)

// File is an uploaded file (multipart/form-data). The body's limit bounds it.
type File struct {
	Name    string // without folders; not otherwise checked: it is the client's choice
	Content []byte
}

// argument is what a request says under one name: texts of a query string or a
// form, or a JSON value (nil for null).
type argument struct {
	texts  []string
	json   any
	isJSON bool
	file   *File
	inURL  bool // it comes from the query string, which ends up in logs
}

// arguments gathers the query string and the body of any verb; where both name
// an argument, the body wins.
func arguments(r *http.Request) (map[string]argument, error) {
	args := map[string]argument{}
	for name, texts := range r.URL.Query() {
		args[name] = argument{texts: texts, inURL: true}
	}
	body, err := readBody(r)
	if err != nil || len(body) == 0 {
		return args, err
	}
	return args, addBody(args, body, r.Header.Get("Content-Type"))
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, fault.Wrap(err, fault.Invalid, "The request body is larger than %d bytes", tooLarge.Limit)
	case err != nil:
		return nil, fault.Wrap(err, fault.Invalid, "The request body cannot be read")
	}
	return bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))), nil
}

// addBody reads the body by its content type. A body that is not called JSON but
// is an object all the same counts as JSON: curl -d calls everything a form.
func addBody(args map[string]argument, body []byte, contentType string) error {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	if isJSON || body[0] == '{' {
		object, err := parseObject(body)
		if err == nil {
			for name, value := range object {
				args[name] = argument{json: value, isJSON: true}
			}
			return nil
		}
		if isJSON {
			return err
		}
	}
	switch media {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "Failed to decode the form")
		}
		addTexts(args, form)
	case "multipart/form-data":
		form, err := multipart.NewReader(bytes.NewReader(body), params["boundary"]).ReadForm(int64(len(body)))
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "Failed to decode the form")
		}
		defer func() { _ = form.RemoveAll() }()
		addTexts(args, form.Value)
		return addFiles(args, form.File)
	}
	return nil
}

func addTexts(args map[string]argument, values map[string][]string) {
	for name, texts := range values {
		args[name] = argument{texts: texts}
	}
}

// addFiles reads uploaded files; of several under one name, the first counts.
func addFiles(args map[string]argument, files map[string][]*multipart.FileHeader) error {
	for name, headers := range files {
		upload, err := headers[0].Open()
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "An uploaded file cannot be read")
		}
		content, err := io.ReadAll(upload)
		_ = upload.Close()
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "An uploaded file cannot be read")
		}
		args[name] = argument{file: &File{Name: baseName(headers[0].Filename), Content: content}}
	}
	return nil
}

// baseName is the last part of a file's name as any system writes paths.
func baseName(name string) string {
	return strings.ToValidUTF8(name[strings.LastIndexAny(name, `/\`)+1:], "\uFFFD")
}

// parseObject decodes one JSON object (or null, which counts as an empty one).
// Numbers stay json.Number, so that none loses digits.
func parseObject(body []byte) (map[string]any, error) {
	switch depth, values := measured(body); {
	case depth > maxDepth:
		return nil, fault.Wrap(ErrJSON, fault.Invalid, "Failed to decode JSON object: it nests deeper than %d levels", maxDepth)
	case values > maxValues:
		return nil, fault.Wrap(ErrJSON, fault.Invalid, "Failed to decode JSON object: it has more than %d values", maxValues)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, fault.Wrap(fmt.Errorf("%w: %w", ErrJSON, err), fault.Invalid, "Failed to decode JSON object: %s", jsonProblem(body, err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fault.Wrap(ErrJSON, fault.Invalid, "Failed to decode JSON object: something follows it")
	}
	return object, nil
}

func jsonProblem(body []byte, err error) string {
	var wrongType *json.UnmarshalTypeError
	switch {
	case bytes.ContainsAny(body, "“”„") && !errors.As(err, &wrongType): // documents are copied with them
		return `it has quotation marks such as “ or ”, where JSON has "`
	case errors.As(err, &wrongType):
		return "the body is not an object"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	}
	return err.Error()
}

// measured tells how deep a body nests and about how many values it has, without
// decoding, so that a hostile body costs one pass.
func measured(body []byte) (deepest, values int) {
	level, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			level++
			deepest, values = max(deepest, level), values+1
		case c == '}' || c == ']':
			level--
		case c == ',':
			values++
		}
	}
	return deepest, values
}
