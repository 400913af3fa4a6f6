package nodeconfig

import (
	"slices"
	"strings"
	"testing"

	"tmms/cluster/certs"
	"tmms/cluster/certs/certstest"
)

func TestCertificatesAreObjectsOrWords(t *testing.T) {
	dir := t.TempDir()
	var want []certs.Files
	for _, name := range []string{"a", "b"} {
		f, err := certstest.Write(dir, name, name+".example")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, f)
	}
	word := func(f certs.Files) string { return f.Cert + ":" + f.Key }
	object := func(f certs.Files) string { return "{cert_file: " + f.Cert + ", key_file: " + f.Key + "}" }
	ports := "listen: {rtmps: \":1936\", https: \":8443\"}\n"
	for name, src := range map[string]Sources{
		"objects": {File: write(t, ports+"tls:\n  certs:\n  - "+object(want[0])+"\n  - "+object(want[1])+"\n")},
		"words":   {File: write(t, ports+"tls: {certs: [\""+word(want[0])+"\", \""+word(want[1])+"\"]}\n")},
		"set":     {Set: []string{"listen.https=:8443", "tls.certs=" + word(want[0]) + "," + word(want[1])}},
		"environment": {Environ: []string{
			"TMMS_LISTEN__HTTPS=:8443", "TMMS_TLS__CERTS=" + word(want[0]) + ", " + word(want[1]),
		}},
	} {
		c, err := Load(src)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(c.TLS.Certs, want) || c.Listen.HTTPS != ":8443" {
			t.Errorf("%s: %+v at %s", name, c.TLS.Certs, c.Listen.HTTPS)
		}
	}
}

func TestAKeyOfAnotherCertificateIsAFault(t *testing.T) {
	dir := t.TempDir()
	a, errA := certstest.Write(dir, "a", "a.example")
	b, errB := certstest.Write(dir, "b", "b.example")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	src := Sources{Set: []string{"tls.certs=" + a.Cert + ":" + a.Key + "," + a.Cert + ":" + b.Key}}
	_, err := Load(src)
	if err == nil || !strings.Contains(err.Error(), "tls.certs[1]: "+a.Cert+" with "+b.Key+": private key does not match") {
		t.Errorf("got %v", err)
	}
	src.SkipFiles = true
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "nothing is served over TLS") {
		t.Errorf("warnings %q", w)
	}
}
