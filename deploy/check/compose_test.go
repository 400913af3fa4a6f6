package check

import (
	"slices"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
)

// Three nodes, each with what SIGTERM needs and after the certificates.
func TestComposeLoads(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../compose/compose.yaml"}, cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := project.ServiceNames()
	slices.Sort(names)
	if want := []string{"o1", "o2", "o3", "pki"}; !slices.Equal(names, want) {
		t.Fatalf("services %q, want %q", names, want)
	}
	for _, name := range names[:3] {
		s := project.Services[name]
		if s.StopGracePeriod == nil || s.StopGracePeriod.String() != "15s" {
			t.Errorf("%s: stop_grace_period %v, want 15s", name, s.StopGracePeriod)
		}
		if s.DependsOn["pki"].Condition != "service_completed_successfully" {
			t.Errorf("%s does not wait for its certificate", name)
		}
		if s.Hostname != name {
			t.Errorf("%s: host name %q, by which it is called in cluster.voters", name, s.Hostname)
		}
	}
}
