package schedule

import "maps"

// additions are laid over the config of every platform: the options that the
// administrator set, and where agents may fetch YARA rules.
type additions struct {
	options       map[string]any
	signatureURLs []string
}

// topLevel are the filters of a config as agents get them: with the addresses of
// YARA rules beside its own, each once, in a constant order.
func (d document) topLevel(signatureURLs []string) map[string]any {
	filters := maps.Clone(d.filters)
	if len(signatureURLs) == 0 {
		return filters
	}
	if filters == nil {
		filters = map[string]any{}
	}
	yara := map[string]any{}
	if own, ok := filters["yara"].(map[string]any); ok {
		yara = maps.Clone(own)
	}
	listed := map[string]bool{}
	var urls []any
	own, _ := yara["signature_urls"].([]any)
	for _, url := range own {
		if text, ok := url.(string); ok && !listed[text] {
			listed[text] = true
			urls = append(urls, text)
		}
	}
	for _, url := range signatureURLs {
		if !listed[url] {
			listed[url] = true
			urls = append(urls, url)
		}
	}
	yara["signature_urls"] = urls
	filters["yara"] = yara
	return filters
}
