package sigma

import (
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	levels   = []string{"informational", "low", "medium", "high", "critical"}
	statuses = []string{"stable", "test", "experimental", "deprecated", "unsupported"}
)

// read fills the rule with what stands beside its detection. The title comes first,
// so that whatever else fails, a report can say whose it is.
func (r *Rule) read(root *yaml.Node) error {
	if err := r.readTexts(root); err != nil {
		return err
	}
	if err := r.readLists(root); err != nil {
		return err
	}
	if err := refuseKinds(root); err != nil {
		return err
	}
	if r.Title == "" {
		return wrong(root.Line, "title is missing")
	}
	return r.readLogSource(root)
}

func (r *Rule) readTexts(root *yaml.Node) (err error) {
	for _, f := range []struct {
		key  string
		to   *string
		most int
	}{
		{"title", &r.Title, maxTitle}, {"id", &r.ID, maxTitle}, {"description", &r.Description, maxText},
		{"level", &r.Level, maxTitle}, {"status", &r.Status, maxTitle},
	} {
		if *f.to, err = text(root, f.key, f.most); err != nil {
			return err
		}
	}
	r.Level, r.Status = strings.ToLower(r.Level), strings.ToLower(r.Status)
	if r.Level != "" && !slices.Contains(levels, r.Level) {
		return wrong(member(root, "level").Line, "level %s is none of %s", clip(r.Level), strings.Join(levels, ", "))
	}
	if r.Status != "" && !slices.Contains(statuses, r.Status) {
		return wrong(member(root, "status").Line, "status %s is none of %s", clip(r.Status), strings.Join(statuses, ", "))
	}
	return nil
}

func (r *Rule) readLists(root *yaml.Node) error {
	authors, err := texts(root, "author")
	if err != nil {
		return err
	}
	r.Author = strings.Join(authors, ", ")
	if r.References, err = texts(root, "references"); err != nil {
		return err
	}
	if r.FalsePositives, err = texts(root, "falsepositives"); err != nil {
		return err
	}
	if r.Tags, err = texts(root, "tags"); err != nil {
		return err
	}
	r.Techniques, r.Tactics = attack(r.Tags)
	return nil
}

// refuseKinds refuses documents of Sigma that are no rules.
func refuseKinds(root *yaml.Node) error {
	for _, kind := range [][2]string{
		{"correlation", "correlations of events are not supported yet"},
		{"filter", "Sigma filters are not supported yet"},
		{"action", "collections with action are not supported: Sigma 2 has none"},
	} {
		if n := member(root, kind[0]); n != nil {
			return unusable(n.Line, "%s", kind[1])
		}
	}
	return nil
}

func (r *Rule) readLogSource(root *yaml.Node) (err error) {
	source := member(root, "logsource")
	if source == nil {
		return wrong(root.Line, "logsource is missing")
	}
	if source.Kind != yaml.MappingNode {
		return wrong(source.Line, "logsource must be a mapping with category, product or service")
	}
	l := &r.LogSource
	for _, part := range []struct {
		key string
		to  *string
	}{{"category", &l.Category}, {"product", &l.Product}, {"service", &l.Service}} {
		if *part.to, err = text(source, part.key, maxTitle); err != nil {
			return err
		}
		*part.to = strings.ToLower(*part.to)
	}
	if *l == (LogSource{}) {
		return wrong(source.Line, "logsource names no category, product or service")
	}
	return nil
}

// String names the log source as category=..., product=..., service=...
func (l LogSource) String() string {
	var parts []string
	for _, part := range [][2]string{{"category", l.Category}, {"product", l.Product}, {"service", l.Service}} {
		if part[1] != "" {
			parts = append(parts, part[0]+"="+clip(part[1]))
		}
	}
	return strings.Join(parts, ", ")
}

var (
	technique = regexp.MustCompile(`^attack\.(t\d{4}(?:\.\d{3})?)$`)
	tactic    = regexp.MustCompile(`^attack\.([a-z]+(?:[_-][a-z]+)*)$`)
)

// attack returns what tags say of ATT&CK, each once. Ids are not looked up: new
// techniques and tactics come with every version.
func attack(tags []string) (techniques, tactics []string) {
	for _, tag := range tags {
		tag = strings.ToLower(tag)
		if found := technique.FindStringSubmatch(tag); found != nil {
			if id := strings.ToUpper(found[1]); !slices.Contains(techniques, id) {
				techniques = append(techniques, id)
			}
		} else if found := tactic.FindStringSubmatch(tag); found != nil {
			if name := strings.ReplaceAll(found[1], "_", "-"); !slices.Contains(tactics, name) {
				tactics = append(tactics, name)
			}
		}
	}
	return techniques, tactics
}
