package cloud

import "time"

// OAuthConsumer is a program that users let act for them, by OAuth 1.0a. Its
// Secret signs and is kept as it is; it is shown when the consumer is made.
type OAuthConsumer struct {
	ID, Description, Secret string
	Extra                   map[string]any // attributes of the consumer's own
}

// OAuthRequest is a consumer's request to act in a project, until a user
// authorizes it (UserID, RoleIDs, Verifier) and the consumer takes an access
// token in its place.
type OAuthRequest struct {
	ID, Secret, ConsumerID, ProjectID string
	UserID, Verifier                  string
	RoleIDs                           []string
	ExpiresAt                         time.Time
}

// OAuthAccess lets a consumer log in as a user with some of the user's roles in
// a project.
type OAuthAccess struct {
	ID, Secret, ConsumerID, ProjectID, UserID string
	RoleIDs                                   []string
	ExpiresAt                                 time.Time
}
