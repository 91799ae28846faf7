package adminapi

import (
	"context"
	"strings"

	"muster/server/fault"
	"muster/server/outputs"
)

func (a *api) mailRoutes() []route {
	in := a.signedIn
	return []route{
		{"GET", "/email/configure", in, handle(a, a.viewMail), "View how mail is sent and to whom"},
		{"POST", "/email/configure", in, act(a, a.configureMail), "Change how mail is sent and to whom"},
		{"POST", "/email/test", in, act(a, a.testMail), "Send a mail to try the settings"},
	}
}

// mailView is the settings on the wire (document, "View email sender"). Emails is
// an older name for the recipients; username is ours.
type mailView struct {
	Email           string `json:"email"`
	EmailRecipients string `json:"emailRecipients"`
	Emails          string `json:"emails"`
	Password        string `json:"password"`
	SMTPAddress     string `json:"smtpAddress"`
	SMTPPort        int    `json:"smtpPort"`
	Username        string `json:"username"`
}

// mailAnswer leaves data out when nothing is configured, as the original does.
type mailAnswer struct {
	said
	Data *mailView `json:"data,omitempty"`
}

func viewMail(s outputs.MailSettings) *mailView {
	recipients := strings.Join(s.Recipients, ",")
	view := mailView{
		Email: s.Address, EmailRecipients: recipients, Emails: recipients,
		SMTPAddress: s.Host, SMTPPort: s.Port, Username: s.Username,
	}
	if s.Password != "" {
		view.Password = mask
	}
	return &view
}

func (a *api) viewMail(ctx context.Context, _ nothing) (mailAnswer, error) {
	settings, err := a.Mail.Settings(ctx)
	switch {
	case fault.Is(err, fault.NotFound):
		return mailAnswer{said: succeeded("Successfully fetched the details")}, nil
	case err != nil:
		return mailAnswer{}, err
	}
	return mailAnswer{succeeded("Successfully fetched the details"), viewMail(settings)}, nil
}

// mailRequest has the recipients under the document's name, which is misspelt,
// and under the one that clients of the original send.
type mailRequest struct {
	Email      *string  `arg:"email"`
	Recipients []string `arg:"emailRecipients"`
	Misspelt   []string `arg:"emalRecipients"`
	Address    *string  `arg:"smtpAddress"`
	Port       *int     `arg:"smtpPort,min=1,max=65535"`
	Username   *string  `arg:"username"`
	Password   *string  `arg:"password,body"`
}

// defaultMailPort is what the original falls back to.
const defaultMailPort = 465

// over puts what was sent over settings. A password that is not sent is the
// stored one, as the mask is.
func (r mailRequest) over(s outputs.MailSettings) outputs.MailSettings {
	overwrite(&s.Address, r.Email)
	overwrite(&s.Host, r.Address)
	overwrite(&s.Port, r.Port)
	overwrite(&s.Username, r.Username)
	s.Password = outputs.Mask
	overwrite(&s.Password, r.Password)
	for _, recipients := range [][]string{r.Misspelt, r.Recipients} {
		if len(recipients) > 0 {
			s.Recipients = recipients
		}
	}
	if s.Port == 0 {
		s.Port = defaultMailPort
	}
	return s
}

// overwrite sets a field to a value that was sent.
func overwrite[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// missingArgument is what every endpoint says of a required argument.
const missingArgument = "Missing required parameter in the JSON body or the post body or the query string"

// missing names the arguments without which there is nobody to write to.
func (r mailRequest) missing() error {
	wrong := map[string]string{}
	for name, absent := range map[string]bool{
		"email": r.Email == nil, "smtpAddress": r.Address == nil, "emailRecipients": len(r.Recipients)+len(r.Misspelt) == 0,
	} {
		if absent {
			wrong[name] = missingArgument
		}
	}
	if len(wrong) > 0 {
		return fault.Fields(wrong)
	}
	return nil
}

// configureMail stores settings without trying them: a mail server that is down
// must not keep anybody from changing them.
func (a *api) configureMail(ctx context.Context, r mailRequest) (mailAnswer, error) {
	if err := r.missing(); err != nil {
		return mailAnswer{}, err
	}
	before, after, err := a.Mail.Save(ctx, r.over(outputs.MailSettings{}))
	if err != nil {
		return mailAnswer{}, err
	}
	changed := map[string]any{"before": nil, "after": viewMail(after)}
	if before != nil {
		changed["before"] = viewMail(*before)
	}
	if r.Password != nil && *r.Password != mask {
		changed["password"] = "changed"
	}
	a.record(ctx, "email.set", after.Host, changed)
	return mailAnswer{succeeded("Successfully updated the details"), viewMail(after)}, nil
}

// testMail tries the settings that are sent, and the stored ones for what is not.
func (a *api) testMail(ctx context.Context, r mailRequest) (mailAnswer, error) {
	stored, err := a.Mail.Settings(ctx)
	if fault.Is(err, fault.NotFound) {
		err = r.missing()
	}
	if err != nil {
		return mailAnswer{}, err
	}
	settings := r.over(stored)
	err = a.Mail.Test(ctx, settings)
	outcome := "sent"
	if err != nil {
		outcome = fault.Public(err)
	}
	a.record(ctx, "email.test", settings.Host, map[string]any{"recipients": settings.Recipients, "outcome": outcome})
	if err != nil {
		return mailAnswer{}, err
	}
	return mailAnswer{succeeded("A test email is sent successfully"), viewMail(settings)}, nil
}
