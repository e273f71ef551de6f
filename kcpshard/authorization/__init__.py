"""Who may do what in a logical cluster. Rules are pure; `authorizer` keeps them exact as their objects change."""
