package adminapi

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"muster/server/fault"
	"muster/server/httpkit"
	"muster/server/schedule"
)

// packLimit bounds a pack that is sent, in bytes, with room for what is around it.
const packLimit = 4<<20 + 64<<10

// packSpec is what a pack is made of (document, "Add a pack"), in osquery's words.
type packSpec struct {
	dryRun
	Name        string         `arg:"name,required"`
	Queries     map[string]any `arg:"queries,required"`
	Tags        []string       `arg:"tags"`
	Category    *string        `arg:"category,choices=Intrusion Detection|Monitoring|Compliance and Management|Forensics and Incident Response|General|Others"`
	Platform    *string        `arg:"platform"`
	Version     *string        `arg:"version"`
	Description *string        `arg:"description"`
	Shard       *int           `arg:"shard,min=0,max=100"`
	Discovery   []string       `arg:"discovery"`
	FilePaths   map[string]any `arg:"file_paths"`
}

// packAdded has the id beside the envelope (document, "Add a pack"). Warnings are
// ours: what of the pack osquery would not use, or does not know.
type packAdded struct {
	said
	PackID   int64    `json:"pack_id"`
	Warnings []string `json:"warnings,omitempty"`
}

func (a *api) addPack(ctx context.Context, r packSpec) (packAdded, error) {
	if err := checkPlatform(r.Platform); err != nil {
		return packAdded{}, err
	}
	members := map[string]any{"queries": r.Queries, "discovery": r.Discovery, "file_paths": r.FilePaths}
	give(members, "category", r.Category)
	give(members, "platform", r.Platform)
	give(members, "version", r.Version)
	give(members, "description", r.Description)
	give(members, "shard", r.Shard)
	p, warnings, err := schedule.MakePack(strings.TrimSpace(r.Name), members)
	if err != nil {
		return packAdded{}, err
	}
	p.Tags = r.Tags
	added, more, err := a.scheduleOf(ctx).AddPack(ctx, p)
	if err != nil {
		return packAdded{}, err
	}
	a.record(ctx, "pack.add", added.Name, map[string]any{"after": auditPack(added)})
	return packAdded{succeeded("Imported query pack and pack is added successfully"), added.ID, append(warnings, more...)}, nil
}

// give adds a member that was sent.
func give[T any](members map[string]any, name string, value *T) {
	if value != nil {
		members[name] = *value
	}
}

type uploadPack struct {
	dryRun
	File     httpkit.File `arg:"file,required"`
	Category *string      `arg:"category,choices=Intrusion Detection|Monitoring|Compliance and Management|Forensics and Incident Response|General|Others"`
	Tags     []string     `arg:"tags"`
}

// packsUploaded is packAdded for a file, which may hold several packs.
type packsUploaded struct {
	said
	PackID   int64          `json:"pack_id"` // of the one that has the name of the file, else of the first
	Packs    []uploadedPack `json:"packs"`
	Warnings []string       `json:"warnings,omitempty"`
}

type uploadedPack struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (a *api) uploadPack(ctx context.Context, r uploadPack) (packsUploaded, error) {
	name, err := fileName(r.File.Name)
	if err != nil {
		return packsUploaded{}, err
	}
	packs, warnings, err := schedule.ParseFile(name, r.File.Content)
	if err != nil {
		return packsUploaded{}, err
	}
	for i := range packs {
		packs[i].Tags = r.Tags
		if r.Category != nil {
			packs[i].Category = cmp.Or(packs[i].Category, *r.Category)
		}
	}
	added, more, err := a.scheduleOf(ctx).ImportPacks(ctx, packs)
	if err != nil {
		return packsUploaded{}, err
	}
	answer := packsUploaded{said: succeeded("pack uploaded successfully"), PackID: added[0].ID, Warnings: append(warnings, more...)}
	for _, p := range added {
		if p.Name == name {
			answer.PackID = p.ID
		}
		answer.Packs = append(answer.Packs, uploadedPack{p.ID, p.Name})
		a.record(ctx, "pack.upload", p.Name, map[string]any{"file": r.File.Name, "after": auditPack(p)})
	}
	return answer, nil
}

// uploadForm is what a file of packs may be called.
var uploadForm = regexp.MustCompile(`^[A-Za-z0-9_ -][A-Za-z0-9._ -]{0,199}$`)

// fileName is the name of a pack in a file (reference 1.11): the file's up to its
// first dot, in lower case.
func fileName(file string) (string, error) {
	if !uploadForm.MatchString(file) {
		return "", fault.New(fault.Unprocessable, "The name of the file may hold letters, digits, dots, hyphens, underscores and spaces only")
	}
	name, ending, _ := strings.Cut(strings.ToLower(file), ".")
	if name = strings.TrimSpace(name); name == "" {
		return "", fault.New(fault.Unprocessable, "The file has no name that a pack could have")
	}
	last := ending[strings.LastIndexByte(ending, '.')+1:]
	if !slices.Contains([]string{"json", "conf", "yml", "yaml"}, last) {
		return "", fault.New(fault.Unprocessable, "Please upload only readable(.json/.conf) formatted files!")
	}
	return name, nil
}

// auditPack is a pack in the audit trail: what it says of itself, and the names of
// its queries, which may be too long to be kept there.
func auditPack(p schedule.Pack) map[string]any {
	return map[string]any{
		"pack_id": p.ID, "platform": p.Platform, "version": p.Version, "description": p.Description, "shard": p.Shard,
		"category": p.Category, "tags": p.Tags, "discovery": p.Discovery, "queries": slices.Sorted(maps.Keys(p.Queries)),
	}
}
