package store

import "hearth/internal/cloud"

// Configuration of domains, and OAuth 1.0a.
var (
	domainConfigSchema = schema[cloud.DomainConfig]{
		table: "domain_configs", noun: "domain configuration", key: func(c cloud.DomainConfig) string { return c.DomainID },
		values: func(cloud.DomainConfig) columns { return columns{} },
	}
	oauthConsumerSchema = schema[cloud.OAuthConsumer]{
		table: "oauth_consumers", noun: "consumer", key: func(c cloud.OAuthConsumer) string { return c.ID },
		values: func(cloud.OAuthConsumer) columns { return columns{} },
	}
	oauthRequestSchema = schema[cloud.OAuthRequest]{
		table: "oauth_requests", noun: "request token", key: func(t cloud.OAuthRequest) string { return t.ID },
		names: []string{"consumer_id", "project_id", "user_id"}, types: "ttt",
		values: func(t cloud.OAuthRequest) columns { return columns{t.ConsumerID, t.ProjectID, t.UserID} },
	}
	oauthAccessSchema = schema[cloud.OAuthAccess]{
		table: "oauth_accesses", noun: "access token", key: func(t cloud.OAuthAccess) string { return t.ID },
		names: []string{"consumer_id", "project_id", "user_id"}, types: "ttt",
		values: func(t cloud.OAuthAccess) columns { return columns{t.ConsumerID, t.ProjectID, t.UserID} },
	}
)

// oauthShapes are the declarations of this file.
func oauthShapes() []shape {
	return []shape{domainConfigSchema.shape(), oauthConsumerSchema.shape(), oauthRequestSchema.shape(), oauthAccessSchema.shape()}
}
