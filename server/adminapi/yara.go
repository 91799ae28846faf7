package adminapi

import (
	"context"
	"strings"

	"muster/server/fault"
	"muster/server/hosts"
	"muster/server/httpkit"
	"muster/yara"
)

// yaraUpload bounds an upload: the largest file, and the form around it.
const yaraUpload = yara.MaxContent + 64<<10

func (a *api) yaraRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/yara", in, handle(a, a.listYARA), "View YARA files list"},
		{"POST", "/yara/add", in, actUpTo(a, yaraUpload, a.addYARA), "Upload YARA file"},
		{"POST", "/yara/view", in, handle(a, a.viewYARA), "View content of YARA file"},
		{"POST", "/yara/delete", in, act(a, a.deleteYARA), "Delete a YARA file"},
		{"GET", "/yara/files", in, handle(a, a.listYARAFiles), "View YARA files with their tags and addresses"},
		{"GET", "/yara/{file_name}/tags", in, handle(a, a.listYARATags), "View the tags of a YARA file"},
		{"POST", "/yara/{file_name}/tags", in, act(a, a.addYARATag), "Add a tag to a YARA file"},
		{"DELETE", "/yara/{file_name}/tags", in, act(a, a.removeYARATag), "Remove a tag from a YARA file"},
	}
}

func (a *api) listYARA(ctx context.Context, _ struct{}) (answer[[]string], error) {
	files, err := a.YARA.List(ctx)
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, f.Name)
	}
	return answer[[]string]{"Successfully fetched the yara files", names}, err
}

// addYARA is the document's, and more: tags say whose hosts get the file, replace
// puts it in the place of the one of this name.
type addYARA struct {
	File    httpkit.File `arg:"file,required"`
	Tags    []string     `arg:"tags"`
	Replace bool         `arg:"replace,default=false"`
}

func (a *api) addYARA(ctx context.Context, r addYARA) (answer[none], error) {
	file := yara.NewFile{
		Name: r.File.Name, Content: string(r.File.Content), Username: callerOf(ctx).account.Username, Tags: r.Tags, Replace: r.Replace,
	}
	action, detail := "yara.add", map[string]any{}
	if r.Replace {
		before, err := a.YARA.Find(ctx, file.Name)
		switch {
		case err == nil:
			action, detail["before"] = "yara.replace", yaraDetail(before)
		case !fault.Is(err, fault.NotFound):
			return answer[none]{}, err
		}
	}
	added, err := a.YARA.Add(ctx, file)
	if err != nil {
		return answer[none]{}, err
	}
	detail["after"] = yaraDetail(added)
	a.record(ctx, action, added.Name, detail)
	return answer[none]{message: "Successfully uploaded the file"}, nil
}

type yaraName struct {
	Name string `arg:"file_name,required"`
}

func (a *api) viewYARA(ctx context.Context, r yaraName) (answer[string], error) {
	f, err := a.YARA.Find(ctx, r.Name)
	return answer[string]{"Successfully fetched the yara file content!", f.Content}, err
}

func (a *api) deleteYARA(ctx context.Context, r yaraName) (answer[none], error) {
	f, err := a.YARA.Delete(ctx, r.Name)
	if err != nil {
		return answer[none]{}, err
	}
	a.record(ctx, "yara.delete", f.Name, map[string]any{"before": yaraDetail(f)})
	return answer[none]{message: "File with the given file name is deleted successfully"}, nil
}

// yaraView is a file with what a query needs to scan with it: url is for the
// condition sigurl.
type yaraView struct {
	Name      string   `json:"file_name"`
	SHA256    string   `json:"sha256"`
	RuleCount int      `json:"rule_count"`
	Tags      []string `json:"tags"`
	URL       string   `json:"url"`
	Username  *string  `json:"username"`
	CreatedAt *string  `json:"created_at"`
	UpdatedAt *string  `json:"updated_at"`
}

func (a *api) listYARAFiles(ctx context.Context, _ struct{}) (answer[[]yaraView], error) {
	files, err := a.YARA.List(ctx)
	views := make([]yaraView, 0, len(files))
	for _, f := range files {
		views = append(views, yaraView{
			Name: f.Name, SHA256: f.SHA256, RuleCount: f.Rules, Tags: tagValues(f.Tags), URL: a.signatureURL(f),
			Username: orNull(f.Username), CreatedAt: iso(f.Created), UpdatedAt: iso(f.Updated),
		})
	}
	return answer[[]yaraView]{"Successfully fetched the yara files", views}, err
}

// yaraDetail is a file in the audit trail: not its token.
func yaraDetail(f yara.File) map[string]any {
	return map[string]any{"sha256": f.SHA256, "rule_count": f.Rules, "tags": tagValues(f.Tags)}
}

func tagValues(tags []hosts.Tag) []string {
	values := make([]string, 0, len(tags))
	for _, tag := range tags {
		values = append(values, tag.Value)
	}
	return values
}

type pathYARA struct {
	Name string `path:"file_name"`
}

func (a *api) listYARATags(ctx context.Context, r pathYARA) (answer[[]string], error) {
	f, err := a.YARA.Find(ctx, r.Name)
	return answer[[]string]{"Successfully fetched the tags of the yara file", tagValues(f.Tags)}, err
}

type yaraTag struct {
	Name string `path:"file_name"`
	Tag  string `arg:"tag,required"`
}

func (a *api) addYARATag(ctx context.Context, r yaraTag) (answer[none], error) {
	before, err := a.YARA.Find(ctx, r.Name)
	if err != nil {
		return answer[none]{}, err
	}
	after, err := a.YARA.AddTags(ctx, r.Name, []string{r.Tag})
	if err != nil {
		return answer[none]{}, err
	}
	a.recordYARATag(ctx, "yara.tag.add", r.Tag, before, after)
	return answer[none]{message: "Successfully created the tag to yara file"}, nil
}

func (a *api) removeYARATag(ctx context.Context, r yaraTag) (answer[none], error) {
	before, err := a.YARA.Find(ctx, r.Name)
	if err != nil {
		return answer[none]{}, err
	}
	after, err := a.YARA.RemoveTag(ctx, r.Name, r.Tag)
	if err != nil {
		return answer[none]{}, err
	}
	a.recordYARATag(ctx, "yara.tag.remove", r.Tag, before, after)
	return answer[none]{message: "Successfully removed the tag from yara file"}, nil
}

// recordYARATag notes a change of the tags of a file.
func (a *api) recordYARATag(ctx context.Context, action, tag string, before, after yara.File) {
	a.record(ctx, action, after.Name, map[string]any{"tag": strings.TrimSpace(tag), "before": tagValues(before.Tags), "after": tagValues(after.Tags)})
}
