package adminapi

import (
	"io"
	"strings"
	"testing"

	"muster/yara"
)

// uploaded uploads a YARA file and compares the answer.
func (w *world) uploaded(golden, name, content string, more map[string]any) {
	w.t.Helper()
	response := w.ask(example{method: "POST", path: "/yara/add", file: &upload{name, content}, send: more})
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	w.golden(golden, response.StatusCode, body)
}

func TestYARA(t *testing.T) {
	each(t, func(w *world) {
		w.expect("yara", "GET", "/yara", nil)
		w.uploaded("yara_add", "Sample.YARA", "rule sample { condition: true }\n", map[string]any{"tags": "lab, web"})
		w.uploaded("yara_exists", "sample.yara", "rule sample { condition: true }\n", nil)
		w.uploaded("yara_add", "sample.yara", "rule sample { condition: true }\nrule second { condition: sample }\n", map[string]any{"replace": true})
		w.expect("yara_view", "POST", "/yara/view", map[string]any{"file_name": "SAMPLE.yara"})
		files, err := w.deps.YARA.List(t.Context())
		w.ok(err)
		for _, f := range files {
			w.scrub = append(w.scrub, f.Token, "YARA-TOKEN")
		}
		w.expect("yara_files", "GET", "/yara/files", nil)
		w.expect("yara_tags", "GET", "/yara/sample.yara/tags", nil)
		w.expect("yara_tag_add", "POST", "/yara/sample.yara/tags", map[string]any{"tag": " finance "})
		w.expect("yara_tag_remove", "DELETE", "/yara/sample.yara/tags?tag=lab", nil)
		w.expect("yara_tag_missing", "DELETE", "/yara/sample.yara/tags?tag=lab", nil)
		w.expect("yara_tag_blank", "POST", "/yara/sample.yara/tags", map[string]any{"tag": " "})
		w.expect("yara_tag_unknown_file", "POST", "/yara/other.yara/tags", map[string]any{"tag": "lab"})
		w.expect("yara_tags_then", "GET", "/yara/sample.yara/tags", nil)
		w.expect("yara_delete", "POST", "/yara/delete", map[string]any{"file_name": "sample.yara"})
		w.expect("yara_delete_again", "POST", "/yara/delete", map[string]any{"file_name": "sample.yara"})
		w.expect("yara_view_unknown", "POST", "/yara/view", map[string]any{"file_name": "../../../etc/passwd"})
		w.expect("yara_view_missing", "POST", "/yara/view", nil)
		var trail []string
		for _, entry := range w.audit() {
			if strings.HasPrefix(entry.Action, "yara.") {
				trail = append(trail, entry.Action+" "+entry.Subject)
			}
		}
		want := "yara.delete sample.yara, yara.tag.remove sample.yara, yara.tag.add sample.yara, yara.replace sample.yara, yara.add sample.yara"
		if got := strings.Join(trail, ", "); got != want {
			t.Errorf("the trail says %s", got)
		}
	})
}

func TestYARARefusesWhatIsNoFileOfRules(t *testing.T) {
	each(t, func(w *world) {
		const rule = "rule a { condition: true }\n"
		w.uploaded("yara_extension", "rules.txt", rule, nil)
		w.uploaded("yara_extension", "rules.yara.sh", rule, nil)
		w.uploaded("yara_name", "../../..yara", rule, nil)
		w.uploaded("yara_name", "my rules.yara", rule, nil)
		w.uploaded("yara_binary", "a.yar", "MZ\x00\x01\xff", nil)
		w.uploaded("yara_empty", "a.yar", "\n", nil)
		w.uploaded("yara_no_rule", "a.yar", "// nothing yet\n", nil)
		w.uploaded("yara_syntax", "a.yar", rule+"rule b {\n  condition: nothing\n}\n", nil)
		w.uploaded("yara_include", "a.yar", "include \"/etc/passwd\"\n"+rule, nil)
		w.uploaded("yara_bad_tag", "a.yar", rule, map[string]any{"tags": strings.Repeat("x", 101)})
		w.uploaded("yara_large", "a.yar", rule+strings.Repeat(" ", yara.MaxContent), nil)
		w.uploaded("yara_too_large", "a.yar", rule+strings.Repeat(" ", yaraUpload), nil)
		w.expect("yara_no_file", "POST", "/yara/add", map[string]any{"file": "a.yar"})
		w.expect("yara", "GET", "/yara", nil) // nothing of this was stored
	})
}
