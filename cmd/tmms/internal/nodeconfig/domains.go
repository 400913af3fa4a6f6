package nodeconfig

import (
	"fmt"

	"tmms/cluster/state"
)

// LoadDomains reads domains.yaml. A file that was read but is wrong gives a
// [state.FaultsError] with every fault, wrapped with the path.
func LoadDomains(path string) (*state.Document, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if err = oneDocument(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	doc, err := state.ParseYAML(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return doc, nil
}
